// Used from C alone: see CDrawing.
