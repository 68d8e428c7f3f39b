import Checkpoints
import Foundation
import Recipes
import TestSupport
import Testing
import Text
import Torch
import Tuners

@Suite struct DeltaTests {
  private let folder: TemporaryFolder
  private let base: URL
  private let adapter = Goldens.url("adapters/lora-all-linear-rslora").path

  init() throws {
    folder = try TemporaryFolder()
    base = try TinyModels.folder("llama-tied", in: folder)
  }

  private func url(_ name: String) -> URL { folder.url.appending(path: name) }

  /// The base and the tuned model in an element type.
  private func models(_ dtype: DType) throws -> (base: URL, tuned: URL) {
    let (plain, tuned) = (url("base-\(dtype)"), url("tuned-\(dtype)"))
    _ = try MergedModel(source: base, adapters: [], dtype: dtype).write(to: plain)
    _ = try MergedModel(source: base, adapters: [adapter], dtype: dtype).write(to: tuned)
    return (plain, tuned)
  }

  private func write(_ tensors: [(String, Tensor)], to name: String) throws -> URL {
    let url = url(name)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    try Safetensors.write(tensors, inFolder: url)
    try #"{"model_type": "llama"}"#.write(to: url.appending(path: "config.json"), atomically: true, encoding: .utf8)
    return url
  }

  private func weights(_ url: URL) throws -> any CheckpointSource { try ModelFiles(url).weights }

  private func expectSame(_ first: URL, _ second: URL) throws {
    let (first, second) = (try weights(first), try weights(second))
    #expect(Set(first.names) == Set(second.names))
    for name in first.names {
      #expect(first.info(name)?.storedType == second.info(name)?.storedType)
      let bytes = try first.withStoredBytes(of: name) { Array($0) }
      #expect(try second.withStoredBytes(of: name) { $0.elementsEqual(bytes) }, "\(name)")
    }
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16]) func theDenseFormComesBackToTheBit(_ dtype: DType) throws {
    let (base, tuned) = try models(dtype)
    let report = try DeltaMaker().make(base: base, tuned: tuned, to: url("delta"))
    #expect(report.summary.manifest.error == 0)
    #expect(report.summary.groups.map(\.encoding).contains("same"), "embeddings and norms are the base's")
    let files = try DeltaApplication().apply(url("delta"), to: base, writing: url("again"))
    #expect(files.contains("tokenizer.json") && files.last == "config.json")
    try expectSame(url("again"), tuned)
    #expect(try ModelFiles(url("again")).config == ModelFiles(tuned).config)
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16, .float64]) func valuesThatArithmeticLosesComeBack(_ dtype: DType) throws {
    let before: [Double] = [0, -0.0, 1, .infinity, .nan, 1e-40, 65504, 3.14159, -2]
    let after: [Double] = [-0.0, 0, .nan, -.infinity, 7, 1e-39, -65504, 3.1416, 1e-7]
    let base = try write([("x.weight", try Tensor(before, shape: [9]).to(dtype))], to: "odd-base")
    let tuned = try write([("x.weight", try Tensor(after, shape: [9]).to(dtype))], to: "odd-tuned")
    _ = try DeltaMaker().make(base: base, tuned: tuned, to: url("odd-delta"))
    _ = try DeltaApplication().apply(url("odd-delta"), to: base, writing: url("odd-again"))
    try expectSame(url("odd-again"), tuned)
  }

  /// The base may be of another type, and the tuned model may have tensors of its own.
  @Test func aTunedModelOfAnotherTypeAndShapeComesBack() throws {
    let base = try write(
      [("a.weight", try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])), ("gone", try .ones([2]))], to: "mixed-base")
    let tuned = try write(
      [
        ("a.weight", try Tensor([1.5, 2, 3, 5] as [Float], shape: [2, 2]).to(.bfloat16)), ("new", try .ones([3])),
        ("steps", try Tensor([1, 2] as [Int64])),
      ], to: "mixed-tuned")
    let report = try DeltaMaker().make(base: base, tuned: tuned, to: url("mixed"))
    #expect(Set(report.summary.groups.map(\.encoding)) == ["bits", "whole"])
    _ = try DeltaApplication().apply(url("mixed"), to: base, writing: url("mixed-again"))
    try expectSame(url("mixed-again"), tuned)
  }

  @Test func aQuantizedBaseServes() throws {
    let gguf = Goldens.url("gguf/llama-q8_0.gguf")
    let tuned = url("expanded")
    _ = try MergedModel(source: gguf, adapters: [], dtype: .float32).write(to: tuned)
    let weights = try weights(tuned)
    var tensors = try weights.names.map { ($0, try weights.tensor($0)) }
    tensors[0].1 = try tensors[0].1 + 0.25
    let changed = try write(tensors, to: "changed")
    let report = try DeltaMaker().make(base: gguf, tuned: changed, to: url("delta"))
    #expect(report.summary.manifest.base.quantization?.description == "Q8_0")
    _ = try DeltaApplication().apply(url("delta"), to: gguf, writing: url("again"))
    try expectSame(url("again"), changed)
  }

  @Test func theOtherFormsTellWhatTheyLose() throws {
    let (base, tuned) = try models(.float32)
    var forms = [DeltaMaker(.sparse, density: 0.3), DeltaMaker(.lowRank, rank: 4), DeltaMaker(.int8), DeltaMaker(.fastChat)]
    forms += [DeltaMaker(.sparse, density: 0.05), DeltaMaker(.lowRank, rank: 2), DeltaMaker(.sparse, density: 1)]
    var errors: [Double] = []
    for (index, maker) in forms.enumerated() {
      let (delta, again) = (url("delta-\(index)"), url("again-\(index)"))
      let report = try maker.make(base: base, tuned: tuned, to: delta)
      _ = try DeltaApplication().apply(delta, to: base, writing: again)
      let measured = try error(of: again, base: base, tuned: tuned)
      #expect(abs(measured - report.summary.manifest.error) < 1e-6 + 1e-3 * measured, "\(maker.format)")
      errors.append(measured)
      if maker.format != .fastChat, maker.density != 1 {
        #expect(report.summary.byteCount < report.summary.tunedByteCount / 2, "\(maker.format)")
      }
    }
    #expect(errors[0] < errors[4] && errors[1] < errors[5], "more places and more ranks lose less")
    #expect(errors[1] < 1e-5, "the adapter has rank 4")
    #expect(errors[2] > 0 && errors[2] < 0.02)
    #expect(errors[3] < 1e-6)
    #expect(errors[6] == 0)
  }

  /// ‖tuned − again‖ / ‖tuned − base‖.
  private func error(of again: URL, base: URL, tuned: URL) throws -> Double {
    let (again, base, tuned) = (try weights(again), try weights(base), try weights(tuned))
    var (lost, whole) = (0.0, 0.0)
    for name in tuned.names {
      let wanted = try tuned.tensor(name, as: .float64)
      lost += pow(try (wanted - again.tensor(name, as: .float64)).norm().item(), 2)
      whole += pow(try (wanted - base.tensor(name, as: .float64)).norm().item(), 2)
    }
    return (lost / whole).squareRoot()
  }

  @Test func anotherBaseIsRefused() throws {
    let (base, tuned) = try models(.float32)
    _ = try DeltaMaker().make(base: base, tuned: tuned, to: url("delta"))
    #expect {
      try DeltaApplication().apply(url("delta"), to: tuned, writing: url("again"))
    } throws: {
      "\($0)".contains("belongs to another base")
    }
    #expect(!FileManager.default.fileExists(atPath: url("again").path))
    _ = try DeltaApplication(anyBase: true).apply(url("delta"), to: tuned, writing: url("again"))
    let gpt2 = try TinyModels.folder("gpt2", in: folder)
    #expect(throws: RecipeError.self) {
      try DeltaApplication(anyBase: true).apply(url("delta"), to: gpt2, writing: url("never"))
    }
  }

  /// Between the windows of the fingerprint a change of one number is not seen; the check value of the tensor sees it.
  @Test func aBaseThatDiffersInOneNumberIsRefused() throws {
    var numbers = [Float](repeating: 1, count: 1 << 16)
    let base = try write([("x", try Tensor(numbers))], to: "one")
    let tuned = try write([("x", try Tensor(numbers) * 2)], to: "two")
    numbers[5000] = 1.5
    let other = try write([("x", try Tensor(numbers))], to: "other")
    #expect(try BaseFingerprint(weights(base)) == BaseFingerprint(weights(other)))
    _ = try DeltaMaker().make(base: base, tuned: tuned, to: url("delta"))
    #expect {
      try DeltaApplication().apply(url("delta"), to: other, writing: url("again"))
    } throws: {
      "\($0)".contains("“x” holds other numbers")
    }
    #expect(!FileManager.default.fileExists(atPath: url("again/config.json").path))
  }

  @Test func oneInFastChatsFormIsAppliedWhereThatIsAskedFor() throws {
    let (base, tuned) = try models(.float32)
    _ = try DeltaMaker(.fastChat).make(base: base, tuned: tuned, to: url("delta"))
    let delta = try weights(url("delta"))
    for name in delta.names {
      let sum = try weights(base).tensor(name) + delta.tensor(name)
      try assertClose(sum, try weights(tuned).tensor(name), absolute: 1e-6, name)
    }
    try FileManager.default.removeItem(at: url("delta/delta.json"))
    #expect {
      try DeltaApplication().apply(url("delta"), to: base, writing: url("again"))
    } throws: {
      "\($0)".contains("--any-base")
    }
    _ = try DeltaApplication(anyBase: true).apply(url("delta"), to: base, writing: url("again"))
    #expect(try error(of: url("again"), base: base, tuned: tuned) < 1e-6)
  }

  @Test func damageIsNamed() throws {
    let (base, tuned) = try models(.float32)
    _ = try DeltaMaker(.sparse).make(base: base, tuned: tuned, to: url("delta"))
    let file = url("delta/delta.safetensors")
    let whole = try Data(contentsOf: file)
    func refusal() -> String {
      do { _ = try DeltaApplication().apply(url("delta"), to: base, writing: url("again"), replacing: true) } catch {
        return "\(error)"
      }
      return "nothing was refused"
    }
    try whole.prefix(whole.count / 2).write(to: file)
    #expect(refusal().contains("delta.safetensors"))
    let stored = try {
      try whole.write(to: file); return try SafetensorsFile(file)
    }()
    var tensors = try stored.names.map { ($0, try stored.tensor($0).clone()) }
    let place = try #require(tensors.firstIndex { $0.0.hasSuffix(".indices") })
    try tensors[place].1.fillInPlace(1_000_000)
    try Safetensors.write(tensors, to: file)
    #expect(refusal().contains("places outside"))
    tensors.remove(at: place)
    try Safetensors.write(tensors, to: file)
    #expect(refusal().contains("lacks"))
    try folder.write("{\"attune_delta\": 1, \"format\": \"dense\"}", to: "delta/delta.json")
    #expect(refusal().contains("base.fingerprint"))
    try folder.write("{\"attune_delta\": 9}", to: "delta/delta.json")
    #expect(refusal().contains("attune_delta"))
    #expect(throws: (any Error).self) { try DeltaSummary(base) }
  }

  @Test func modelsThatCannotBeKeptAreRefused() throws {
    let one = try write([("x", try Tensor.ones([4, 4]))], to: "plain")
    let broken = try write([("x", try Tensor.full([4, 4], .nan))], to: "broken")
    func refusal(_ maker: DeltaMaker, _ tuned: URL) -> String {
      do { _ = try maker.make(base: one, tuned: tuned, to: url("never")) } catch { return "\(error)" }
      return "nothing was refused"
    }
    #expect(refusal(DeltaMaker(.int8), broken).contains("not finite"))
    #expect(refusal(DeltaMaker(), one).contains("is what is read") == false)
    let copy = try write([("x", try Tensor.ones([4, 4]))], to: "copy")
    #expect(refusal(DeltaMaker(), copy).contains("same numbers"))
    #expect(refusal(DeltaMaker(.sparse, density: 0), broken).contains("density"))
    #expect(refusal(DeltaMaker(.lowRank, rank: 0), broken).contains("rank"))
    let row = try write([("x", try Tensor.ones([1, 6]) * 3)], to: "row"),
      zero = try write([("x", try Tensor.zeros([1, 6]))], to: "zero")
    for format in DeltaFormat.allCases {
      _ = try DeltaMaker(format, density: 0.5).make(base: zero, tuned: row, to: url("row-\(format)"))
      _ = try DeltaApplication().apply(url("row-\(format)"), to: zero, writing: url("row-again-\(format)"))
    }
  }
}
