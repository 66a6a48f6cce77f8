import CWebP
import Glibc
import TensorCore

/// WebP, by libwebp; written without loss in 8 bits a color, whatever the file was that was read.
public enum WebPCodec: ImageCodec {
  public static let endings = ["webp"]
  /// It holds no gray and no 16 bits: what must come back as it was is kept as PNG.
  public static let isLossless = false

  public static func recognizes(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: Array("RIFF".utf8)) && bytes.dropFirst(8).starts(with: Array("WEBP".utf8))
  }

  /// Reads a file as RGB, or RGBA where it has transparency; color profile, EXIF and XMP are kept as metadata.
  ///
  /// - Throws: `ImageError` for a file that is missing, truncated, corrupt, foreign, too large, or an animation.
  public static func read(_ path: String) throws(ImageError) -> Image {
    let bytes = try content(path)
    if let reason = missing { throw .unreadable(path: path, reason: reason) }
    guard let features = features(bytes) else {
      throw .unreadable(path: path, reason: "it is no WebP file, or is cut short")
    }
    guard features.has_animation == 0 else {
      throw .unreadable(path: path, reason: "it is an animation")
    }
    let (width, height) = (Int(features.width), Int(features.height))
    let channels = features.has_alpha == 0 ? 3 : 4
    let count = width * height * channels
    guard count <= Image.sampleLimit else {
      throw .tooLarge(path: path, width: width, height: height)
    }
    var pixels = [UInt8](repeating: 0, count: count)
    let decode = unsafe channels == 3 ? cwebp_decode_rgb_into : cwebp_decode_rgba_into
    guard unsafe decode(bytes, bytes.count, &pixels, count, Int32(width * channels)) != nil else {
      throw .unreadable(path: path, reason: "its data are damaged or end early")
    }
    var image = Image(
      width: width, height: height, channels: channels, samples: pixels.map(UInt16.init))
    image.metadata = metadata(of: bytes)
    return image
  }

  public static func sampleCount(_ path: String) -> Int? {
    // All of a header lies in the first bytes.
    features(Files.prefix(of: path, 64)).map {
      Int($0.width) * Int($0.height) * ($0.has_alpha == 0 ? 3 : 4)
    }
  }

  private static func content(_ path: String) throws(ImageError) -> [UInt8] {
    guard let bytes = Files.bytes(of: path) else {
      throw .unreadable(path: path, reason: unsafe String(cString: strerror(errno)))
    }
    return bytes
  }

  /// Why libwebp is not there.
  private static var missing: String? {
    unsafe cwebp_missing().map { unsafe String(cString: $0) }
  }

  private static func features(_ bytes: [UInt8]) -> WebPBitstreamFeatures? {
    guard missing == nil else { return nil }
    var features = WebPBitstreamFeatures()
    return unsafe cwebp_get_features(bytes, bytes.count, &features) == VP8_STATUS_OK
      ? features : nil
  }

  /// Names of chunks, each with what gets and sets it.
  private static func metadata(of bytes: [UInt8]) -> Metadata {
    var metadata = Metadata()
    unsafe bytes.withUnsafeBufferPointer { bytes in
      var data = unsafe WebPData(bytes: bytes.baseAddress, size: bytes.count)
      guard let mux = unsafe cwebp_mux_create(&data) else { return }
      defer { unsafe cwebp_mux_delete(mux) }
      func chunk(_ name: String) -> [UInt8]? {
        var found = unsafe WebPData()
        guard unsafe cwebp_mux_get_chunk(mux, name, &found) == WEBP_MUX_OK else { return nil }
        return unsafe Array(UnsafeBufferPointer(start: found.bytes, count: found.size))
      }
      if let profile = chunk("ICCP") { metadata.profile = profile }
      if let exif = chunk("EXIF") {
        metadata.append("eXIf", exif.starts(with: EXIF.mark) ? Array(exif.dropFirst(6)) : exif)
      }
      if let xmp = chunk("XMP ") { metadata.append("iTXt", Metadata.xmpHead + xmp) }
    }
    return metadata
  }

  /// Writes a file; gray becomes color, and samples of 16 bits are rounded to 8.
  ///
  /// - Throws: `ImageError.unwritable`, also for sides of more than 16,383 pixels.
  public static func write(_ image: Image, to path: String) throws(ImageError) {
    guard isHeld(image) else {
      throw .unwritable(
        path: path, reason: "WebP holds sides of \(WEBP_MAX_DIMENSION) pixels at most")
    }
    if let reason = missing { throw .unwritable(path: path, reason: reason) }
    guard let file = encoded(image) else {
      throw .unwritable(path: path, reason: "it cannot be encoded as WebP")
    }
    guard Files.write(file, to: path) else {
      throw .unwritable(path: path, reason: unsafe String(cString: strerror(errno)))
    }
  }

  public static func encoded(_ image: Image) -> [UInt8]? {
    guard isHeld(image), missing == nil, let picture = packed(image) else { return nil }
    return assembled(picture, image.metadata)
  }

  /// Whether the format holds its sides.
  private static func isHeld(_ image: Image) -> Bool {
    max(image.width, image.height) <= Int(WEBP_MAX_DIMENSION)
  }

  /// The picture alone.
  private static func packed(_ image: Image) -> [UInt8]? {
    var config = WebPConfig()
    var picture = unsafe WebPPicture()
    guard unsafe cwebp_config_init(&config) != 0, unsafe cwebp_picture_init(&picture) != 0 else {
      return nil
    }
    defer { unsafe cwebp_picture_free(&picture) }
    unsafe cwebp_config_lossless_preset(&config, 2)
    // Colors under full transparency too.
    config.exact = 1
    unsafe picture.use_argb = 1
    unsafe picture.width = Int32(image.width)
    unsafe picture.height = Int32(image.height)
    let (channels, hasAlpha) = (image.channels, image.channels % 2 == 0)
    let shift = image.bitDepth == 16
    var pixels: [UInt8] = []
    pixels.reserveCapacity(image.width * image.height * 4)
    for at in stride(from: 0, to: image.samples.count, by: channels) {
      func sample(_ c: Int) -> UInt8 {
        let value = Int(image.samples[at + c])
        return UInt8(shift ? (value * 255 + 32_767) / 65_535 : value)
      }
      let colors = channels < 3 ? [0, 0, 0] : [0, 1, 2]
      for c in colors { pixels.append(sample(c)) }
      pixels.append(hasAlpha ? sample(channels - 1) : 255)
    }
    guard unsafe cwebp_picture_import_rgba(&picture, pixels, Int32(4 * image.width)) != 0 else {
      return nil
    }
    var writer = unsafe WebPMemoryWriter()
    unsafe cwebp_memory_writer_init(&writer)
    defer { unsafe cwebp_memory_writer_clear(&writer) }
    return unsafe withUnsafeMutablePointer(to: &writer) { writer in
      unsafe picture.writer = cwebp_memory_write
      unsafe picture.custom_ptr = UnsafeMutableRawPointer(writer)
      guard unsafe cwebp_encode(&config, &picture) != 0 else { return nil }
      return unsafe Array(
        UnsafeBufferPointer(start: writer.pointee.mem, count: writer.pointee.size))
    }
  }

  /// A file of a picture and what is said of it.
  private static func assembled(_ picture: [UInt8], _ metadata: Metadata) -> [UInt8]? {
    let chunks: [(name: String, data: [UInt8]?)] = [
      ("ICCP", metadata.profile), ("EXIF", metadata["eXIf"]), ("XMP ", metadata.xmp),
    ]
    guard chunks.contains(where: { $0.data != nil }) else { return picture }
    guard let mux = unsafe cwebp_mux_new() else { return nil }
    defer { unsafe cwebp_mux_delete(mux) }
    func put(_ bytes: [UInt8], _ use: (inout WebPData) -> WebPMuxError) -> Bool {
      unsafe bytes.withUnsafeBufferPointer { bytes in
        var data = unsafe WebPData(bytes: bytes.baseAddress, size: bytes.count)
        return unsafe use(&data) == WEBP_MUX_OK
      }
    }
    guard unsafe put(picture, { unsafe cwebp_mux_set_image(mux, &$0) }) else { return nil }
    for chunk in chunks {
      guard let data = chunk.data, !data.isEmpty else { continue }
      guard unsafe put(data, { unsafe cwebp_mux_set_chunk(mux, chunk.name, &$0) }) else {
        return nil
      }
    }
    var file = unsafe WebPData()
    guard unsafe cwebp_mux_assemble(mux, &file) == WEBP_MUX_OK else { return nil }
    defer { unsafe cwebp_free(UnsafeMutableRawPointer(mutating: file.bytes)) }
    return unsafe Array(UnsafeBufferPointer(start: file.bytes, count: file.size))
  }
}
