extension Service {
  /// What is served, in the words of OpenAPI 3.1.
  var openAPI: String {
    #"""
    {
      "openapi": "3.1.0",
      "info": {"title": "canon serve", "version": "1", "description": "Poses, canonical forms and predictions of one model."},
      "paths": {
        "/health": {"get": {"summary": "Whether it runs, and with which model", "responses": {"200": {"description": "It runs.", "content": {"application/json": {"schema": {"type": "object", "required": ["status", "model"], "properties": {"status": {"const": "ok"}, "model": {"type": "string"}}}}}}}}},
        "/predict": {"post": {"summary": "The pose of an image, and what the model says of it", "requestBody": {"$ref": "#/components/requestBodies/Image"}, "responses": {"200": {"description": "The answer.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}}, "default": {"$ref": "#/components/responses/Error"}}}},
        "/canonicalize": {"post": {"summary": "The same with the image in canonical pose: in the answer, or alone where Accept asks for an image", "requestBody": {"$ref": "#/components/requestBodies/Image"}, "responses": {"200": {"description": "The answer, or the image.", "headers": {"Canon-Degrees": {"schema": {"type": "number"}}, "Canon-Margin": {"schema": {"type": "string"}}, "Canon-Unsure": {"schema": {"type": "boolean"}}}, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}, "image/png": {}}}, "default": {"$ref": "#/components/responses/Error"}}}},
        "/view": {"post": {"summary": "What the page shows of an image turned by an angle", "parameters": [{"name": "angle", "in": "query", "description": "In degrees, counterclockwise.", "schema": {"type": "number", "default": 0}}], "requestBody": {"$ref": "#/components/requestBodies/Image"}, "responses": {"200": {"description": "The answer, with pictures.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}}, "default": {"$ref": "#/components/responses/Error"}}}}
      },
      "components": {
        "requestBodies": {"Image": {"required": true, "description": "The bytes of an image file, of a format that canon reads.", "content": {"image/png": {}, "image/jpeg": {}, "image/tiff": {}, "image/webp": {}, "application/octet-stream": {}}}},
        "responses": {"Error": {"description": "400 for what is no image, 404 and 405 for other paths and methods, 408 for what comes too slowly, 413 for what is too large, 503 where too much waits.", "content": {"application/json": {"schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}}}}},
        "schemas": {
          "Pose": {"type": "object", "required": ["degrees", "isReflected", "ties", "isQuarterTurn"], "properties": {"degrees": {"type": "number", "description": "Counterclockwise, as the image is seen: canonicalizing turns it back."}, "isReflected": {"type": "boolean"}, "margin": {"type": "number", "description": "How far the pose is ahead of the next; missing where it is infinite."}, "isUnsure": {"type": "boolean", "description": "Whether the margin is below what the model was calibrated to; missing where it was not."}, "ties": {"type": "array", "items": {"type": "number"}, "description": "The angles of poses that are as good."}, "isQuarterTurn": {"type": "boolean", "description": "Whether pixels are only moved."}}},
          "Answer": {"type": "object", "required": ["width", "height", "pose"], "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}, "pose": {"$ref": "#/components/schemas/Pose"}, "class": {"type": "string"}, "probabilities": {"type": "object", "additionalProperties": {"type": "number"}}, "numbers": {"type": "array", "items": {"type": "number"}}, "canonical": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}, "pictures": {"type": "object", "additionalProperties": {"type": "string"}}}}
        }
      }
    }
    """#
  }
}
