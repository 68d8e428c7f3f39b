import Foundation
import Testing
import Torch

@testable import Checkpoints

struct SafetensorsTests {
  private static let types: [(String, DType)] = [
    ("F64", .float64), ("F32", .float32), ("F16", .float16), ("BF16", .bfloat16), ("I64", .int64), ("I32", .int32),
    ("I16", .int16),
    ("I8", .int8), ("U8", .uint8), ("BOOL", .bool),
  ]

  @Test(arguments: types) func readsEveryType(name: String, dtype: DType) throws {
    let file = try SafetensorsFile(Golden.url("every_type.safetensors"))
    let tensor = try file.tensor("type.\(name)")
    #expect(tensor.shape == [2, 3])
    #expect(tensor.dtype == dtype)
    let info = try #require(file.info("type.\(name)"))
    #expect(info == TensorInfo(shape: [2, 3], dtype: dtype, storedType: name, byteCount: 6 * dtype.byteSize))
    let expected: [Double] =
      switch dtype {
      case .bool: [0, 1, 0, 1, 0, 1]
      case .uint8: [0, 1, 2, 3, 4, 5]
      case .float16, .bfloat16, .float32, .float64: [-1.5, -1, -0.5, 0, 0.5, 1]
      default: [-3, -2, -1, 0, 1, 2]
      }
    #expect(try tensor.array(Double.self) == expected)
  }

  @Test func readsOddNamesAndShapes() throws {
    let file = try SafetensorsFile(Golden.url("every_type.safetensors"))
    #expect(try file.tensor("odd \"name\"\\ é\n").array(Float.self) == [1, 2])
    #expect(try file.tensor("scalar").shape == [])
    #expect(try file.tensor("scalar").item() == 2.5)
    #expect(try file.tensor("empty").shape == [0, 4])
    #expect(file.metadata == ["format": "pt"])
    #expect(file.names.count == 14)
    #expect(try SafetensorsFile(Golden.url("no_tensors.safetensors")).names.isEmpty)
  }

  @Test(arguments: ["every_type.safetensors", "no_metadata.safetensors", "no_tensors.safetensors"])
  func writesWhatTheReferenceWrites(name: String) throws {
    let folder = try TemporaryFolder()
    let file = try SafetensorsFile(Golden.url(name))
    // Any order in gives the same file.
    let tensors = try file.names.sorted().reversed().map { ($0, try file.tensor($0)) }
    try Safetensors.write(tensors, metadata: file.metadata.isEmpty ? nil : file.metadata, to: folder.file("out"))
    #expect(try contents(folder.file("out")) == Golden.bytes(name))
  }

  @Test func convertsOnTheWay() throws {
    let file = try SafetensorsFile(Golden.url("every_type.safetensors"))
    let tensor = try file.tensor("type.BF16", as: .float32)
    #expect(tensor.dtype == .float32)
    #expect(try tensor.array(Float.self) == [-1.5, -1, -0.5, 0, 0.5, 1])
  }

  @Test func tensorsOutliveTheFileAndNeverChangeIt() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("a")
    try Safetensors.write([("x", Tensor([1, 2, 3, 4] as [Float]))], to: url)
    let before = try contents(url)
    var tensor: Tensor
    do { tensor = try SafetensorsFile(url).tensor("x") }
    try tensor.withUnsafeBytes { UnsafeMutableRawPointer(mutating: $0.baseAddress!).storeBytes(of: 9, as: Float.self) }
    #expect(try tensor.array(Float.self) == [9, 2, 3, 4])
    #expect(try contents(url) == before)
    try AtomicFile.write("replaced", to: url)
    #expect(try tensor.array(Float.self) == [9, 2, 3, 4])
  }

  @Test func readsUnalignedData() throws {
    let folder = try TemporaryFolder()
    // 59 bytes of header put the data at byte 67.
    let header = #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "# + "    }"
    var bytes = safetensors(header.replacingOccurrences(of: ", ", with: " "), dataCount: 8)
    bytes.replaceSubrange((bytes.count - 8)..., with: [0, 0, 0x80, 0x3F, 0, 0, 0, 0x40])
    #expect((bytes.count - 8) % 4 != 0)
    let file = try SafetensorsFile(folder.write(bytes, to: "a"))
    #expect(try file.tensor("x").array(Float.self) == [1, 2])
  }

  @Test func typesWithoutCounterpartAreListedAndRefused() throws {
    let url = Golden.url("other_types.safetensors")
    let file = try SafetensorsFile(url)
    #expect(try file.tensor("b").array(Float.self) == [1, 1])
    #expect(file.info("a")?.storedType == "F8_E4M3")
    #expect(file.info("a")?.dtype == nil)
    #expect(failure { _ = try file.tensor("a") } == "\(url.path): tensor “a”: elements of type F8_E4M3 cannot be loaded")
    #expect(failure { _ = try file.tensor("z") } == "\(url.path): tensor “z”: not among the 3 tensors in the file")
  }

  @Test func doubleNamesAreNotWritten() throws {
    let folder = try TemporaryFolder()
    let tensor = try Tensor([1] as [Float])
    #expect(throws: CheckpointError.self) { try Safetensors.write([("x", tensor), ("x", tensor)], to: folder.file("a")) }
    #expect(throws: CheckpointError.self) { try Safetensors.write([("__metadata__", tensor)], to: folder.file("a")) }
    #expect(try folder.entries.isEmpty)
  }

  private static let entry = #""x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#

  @Test(
    arguments: [
      (safetensors("", dataCount: 0), "does not begin with “{”"),
      ([1, 2, 3], "has 3 bytes; a safetensors file has at least 8"),
      (safetensors("{}", dataCount: 0, length: 100_000_001), "more than the 100000000 allowed"),
      (safetensors("{}", dataCount: 0, length: .max), "more than the 100000000 allowed"),
      (safetensors("{}", dataCount: 0, length: 3), "it is cut off"),
      (safetensors("{\(entry)}", dataCount: 7), "tensor “x”: ends at byte 8 of 7 after the header: the file is cut off"),
      (safetensors("{\(entry)}", dataCount: 9), "1 bytes at the end belong to no tensor"),
      (safetensors("{\(entry),\(entry)}", dataCount: 8), "the key “x” comes twice"),
      (safetensors("{\(entry),\"y\":[]}", dataCount: 8), "tensor “y”: has no “dtype”"),
      (safetensors(#"{"__metadata__":{"a":1}}"#, dataCount: 0), "something other than text under “a”"),
      (safetensors(#"{"__metadata__":[]}"#, dataCount: 0), "“__metadata__” is not an object"),
      (safetensors(#"{"x":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, dataCount: 8), "unknown element type “F31”"),
      (safetensors(#"{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, dataCount: 8), "shape [-2] is not one"),
      (safetensors(#"{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, dataCount: 8), "“shape” is not a list"),
      (
        safetensors(#"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, dataCount: 8),
        "takes 12 bytes, its “data_offsets” span 8"
      ),
      (safetensors(#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, dataCount: 8), "“data_offsets” are not"),
      (safetensors(#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, dataCount: 8), "“data_offsets” are not"),
      (safetensors(#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, dataCount: 8), "“data_offsets” are not"),
      (
        safetensors(#"{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, dataCount: 0),
        "is not one a tensor"
      ),
      (
        safetensors(#"{"x":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}}"#, dataCount: 0),
        "is not one a tensor"
      ),
      (
        safetensors(#"{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, dataCount: 0),
        "is not one a tensor"
      ),
      (
        safetensors("{\(entry),\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", dataCount: 12),
        "tensor “y”: its bytes overlap"
      ),
      (
        safetensors("{\(entry),\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", dataCount: 16),
        "tensor “y”: 4 bytes before it belong to no tensor"
      ),
      (safetensors(String(repeating: "{\"a\":", count: 1000), dataCount: 0), "nested deeper"),
      (Array("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".utf8), "Git LFS pointer"),
    ] as [([UInt8], String)])
  func wrongFilesAreRefused(bytes: [UInt8], reason: String) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(bytes, to: "a.safetensors")
    let text = try #require(failure { _ = try SafetensorsFile(url) })
    #expect(text.hasPrefix(url.path))
    #expect(text.contains(reason))
  }

  @Test func namesInErrorsAreSafeToPrint() throws {
    let folder = try TemporaryFolder()
    let long = String(repeating: "n", count: 100_000)
    let url = try folder.write(safetensors(#"{"\u001b[2J\n\u202e\#(long)":{}}"#, dataCount: 0), to: "a")
    let text = try #require(failure { _ = try SafetensorsFile(url) })
    #expect(text.hasPrefix(#"\#(url.path): tensor “\u{1B}[2J\n\u{202E}nnn"#))
    #expect(text.hasSuffix("nn…: has no “dtype”"))
    #expect(text.count < 1000)
  }

  @Test func missingFilesAndFoldersAreNamed() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("none.safetensors")
    #expect(failure { _ = try SafetensorsFile(url) } == "\(url.path): cannot open: No such file or directory")
    #expect(failure { _ = try SafetensorsFile(folder.url) } == "\(folder.url.path): not a plain file")
  }
}
