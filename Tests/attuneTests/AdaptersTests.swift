import Foundation
import TestSupport
import Testing
import Text

/// `attune adapters`, as a person meets it.
@Suite struct AdaptersTests {
  private let folder: TemporaryFolder
  private let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
    try FileManager.default.createDirectory(at: folder.url.appending(path: "adapters"), withIntermediateDirectories: true)
    for (golden, name) in [("combine/first", "first"), ("combine/second", "second"), ("mlx/lora", "from-mlx")] {
      try FileManager.default.copyItem(at: Goldens.url(golden), to: folder.url.appending(path: "adapters/\(name)"))
    }
  }

  @Test func listsWhatIsThere() throws {
    let result = try Program.run("adapters", "list", "adapters", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let rows = try result.json.array ?? []
    #expect(rows.map { $0["name"]?.string } == ["first", "from-mlx", "second"])
    #expect(rows.map { $0["method"]?.string } == ["LORA", "lora", "LORA"])
    let words = try Program.run("adapters", "list", "adapters", in: folder)
    #expect(words.output.contains("adapters/first") && words.output.contains("llama-tied"))
    let nowhere = try Program.run("adapters", "list", "nowhere", in: folder)
    #expect(nowhere.status == 1 && nowhere.errors.contains("there is no folder “nowhere”"))
  }

  @Test func looksAnAdapterOver() throws {
    let result = try Program.run("adapters", "inspect", "adapters/second", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    #expect(json["ranks"]?.ids == [4])
    #expect(json["targets"]?.array?.map(\.string) == ["down_proj", "q_proj"])
    #expect(json["parameters"]?.int == 2 * (4 * 32 + 32 * 4) + 2 * (4 * 48 + 32 * 4))
    #expect(json["tensors"]?.array?.allSatisfy { $0["norm"]?.double ?? 0 > 0 && $0["not_finite"]?.int == 0 } == true)
    #expect(json["base_fingerprint"] == .null)
    let mlx = try Program.run("adapters", "inspect", "adapters/from-mlx", "--tensors", in: folder)
    #expect(mlx.output.contains("mlx-lm") && mlx.output.contains("model.layers.1.self_attn.q_proj.lora_a"))
  }

  /// The first four numbers of the file become NaN.
  @Test func namesTensorsThatAreDamaged() throws {
    let file = folder.url.appending(path: "adapters/first/adapter_model.safetensors")
    var data = try Data(contentsOf: file)
    for place in data.count - 16..<data.count { data[place] = 0xFF }
    try data.write(to: file)
    let result = try Program.run("adapters", "inspect", "adapters/first", in: folder)
    #expect(result.status == 1)
    #expect(result.errors.contains("not finite") && result.output.contains("not finite"))
    let combine = try Program.run("adapters", "combine", "adapters/first", "adapters/second", "--output", "both", in: folder)
    #expect(combine.status == 1)
    try data.prefix(data.count - 8).write(to: file)
    let cut = try Program.run("adapters", "inspect", "adapters/first", in: folder)
    #expect(cut.status == 1 && cut.errors.contains("adapter_model.safetensors"))
  }

  @Test func renames() throws {
    let result = try Program.run("adapters", "rename", "adapters/first", "tone", "--base", "org/model", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let list = try Program.run("adapters", "list", "adapters", "--json", in: folder).json.array ?? []
    #expect(list.last?["name"]?.string == "tone" && list.last?["base"]?.string == "org/model")
    #expect(try Program.run("adapters", "rename", "adapters/tone", "second", in: folder).errors.contains("is there already"))
    #expect(try Program.run("adapters", "rename", "adapters/tone", "a/b", in: folder).status == 1)
    #expect(try Program.run("adapters", "rename", "adapters/tone", in: folder).status == 2)
  }

  @Test func combines() throws {
    let result = try Program.run(
      "adapters", "combine", "adapters/first=0.7", "adapters/second=0.3", "--method", "ties", "--density", "0.5", "--output",
      "both", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output == "wrote both: 4 projections of rank 4\n")
    let svd = try Program.run(
      "adapters", "combine", "adapters/first", "adapters/second=-1", "--output", "svd", "--json", in: folder)
    #expect((try svd.json["relative_error"]?.double ?? 0) > 0.1)
    let again = try Program.run("adapters", "combine", "adapters/first", "--output", "svd", in: folder)
    #expect(again.status == 1 && again.errors.contains("--force"))
    let scored = try Program.run(
      "score", "--model", model, "--adapter", "both", "--input", "-", "--output", "-", input: #"{"tokens": [3, 4]}"#, in: folder)
    #expect(scored.status == 0, "\(scored.errors)")
    let unknown = try Program.run("adapters", "combine", "adapters/first", "--method", "tie", "--output", "x", in: folder)
    #expect(unknown.status == 2)
  }

  @Test func convertsBothWays() throws {
    for (source, target) in [("adapters/first", "mlx"), ("mlx", "peft"), ("adapters/from-mlx", "second-peft")] {
      let result = try Program.run("adapters", "convert", source, "--output", target, in: folder)
      #expect(result.status == 0, "\(result.errors)")
    }
    func scores(_ adapter: String) throws -> String {
      try Program.run(
        "score", "--model", model, "--adapter", adapter, "--input", "-", "--output", "-", "--dtype", "f32",
        input: #"{"tokens": [3, 4, 5, 6]}"#, in: folder
      ).output
    }
    #expect(try scores("adapters/first") == scores("peft"))
    let foreign = try Program.run("merge", "--model", model, "--adapter", "mlx", "--output", "merged", in: folder)
    #expect(foreign.status == 1 && foreign.errors.contains("attune adapters convert"))
  }

  @Test func extractsAndMerges() throws {
    let merge = try Program.run(
      "adapters", "merge", "--model", model, "--adapter", "adapters/first", "--output", "merged", "--max-shard-size", "10kB",
      in: folder)
    #expect(merge.status == 0, "\(merge.errors)")
    #expect(merge.output.contains("model.safetensors.index.json"))
    let extract = try Program.run(
      "adapters", "extract", "--base", model, "--tuned", "merged", "--rank", "4", "--output", "extracted", "--json", in: folder)
    #expect(extract.status == 0, "\(extract.errors)")
    #expect((try extract.json["relative_error_whole"]?.double ?? 1) < 1e-4)
    let inspect = try Program.run("adapters", "inspect", "extracted", "--model", model, "--json", in: folder)
    #expect(try inspect.json["is_base"]?.bool == true)
    let other = try Program.run("adapters", "inspect", "extracted", "--model", "merged", in: folder)
    #expect(other.status == 1 && other.errors.contains("another base"))
  }

  @Test func deltasGoRoundTheWholeWay() throws {
    _ = try Program.run("merge", "--model", model, "--adapter", "adapters/first", "--output", "merged", in: folder)
    let make = try Program.run("delta", "make", model, "merged", "--output", "delta", in: folder)
    #expect(make.status == 0 && make.output.contains("comes back to the bit"), "\(make.errors)")
    let apply = try Program.run("delta", "apply", model, "delta", "--output", "again", in: folder)
    #expect(apply.status == 0, "\(apply.errors)")
    let names = ["model.safetensors", "config.json", "tokenizer.json"]
    for name in names {
      #expect(
        FileManager.default.contentsEqual(atPath: folder.path("merged/\(name)"), andPath: folder.path("again/\(name)")), "\(name)"
      )
    }
    let other = try Program.run("delta", "apply", "merged", "delta", "--output", "never", in: folder)
    #expect(other.status == 1 && other.errors.contains("belongs to another base"))
    let inspect = try Program.run("delta", "inspect", "delta", "--json", in: folder)
    #expect(try inspect.json["format"]?.string == "dense")
    #expect(try Program.run("delta", "make", model, "merged", "--output", "x", "--rank", "4", in: folder).status == 2)
    let low = try Program.run(
      "delta", "make", model, "merged", "--format", "low-rank", "--rank", "2", "--output", "low", "--json", in: folder)
    #expect((try low.json["relative_error"]?.double ?? 0) > 0)
    #expect(try Program.run("delta", "inspect", "merged", in: folder).status == 1)
  }
}
