import Foundation
import TestSupport
import Testing
import Text

@Suite struct MergeTests {
  let folder: TemporaryFolder
  let model: String
  let adapter = Goldens.url("adapters/lora").path

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  @Test func theMergedModelScoresAsTheAdaptedOne() throws {
    let output = folder.path("merged")
    let merge = try Program.run("merge", "--model", model, "--adapter", adapter, "--output", output, "--json", in: folder)
    #expect(merge.status == 0, "\(merge.errors)")
    let report = try merge.json
    #expect(report["dtype"]?.string == "float32")
    #expect((report["max_difference"]?.double ?? 1) < 1e-4)
    #expect(report["same_best"]?.double == 1)
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"] {
      #expect(FileManager.default.contentsEqual(atPath: "\(model)/\(name)", andPath: "\(output)/\(name)"), "\(name)")
    }
    let golden = try expected()["scores_with_adapter"]?.array ?? []
    let lines = golden.map { (["tokens": $0["tokens"] ?? .null] as JSON).text() + "\n" }
    let scores = try Program.run(
      "score", "--model", output, "--input", "-", "--output", "-", "--dtype", "f32", input: lines.joined(), in: folder
    ).jsonLines
    for (line, wanted) in zip(scores, golden) {
      for (a, b) in zip(line["logprobs"]?.array ?? [], wanted["logprobs"]?.array ?? []).dropFirst() {
        #expect(abs((a.double ?? .nan) - (b.double ?? .nan)) < 1e-4)
      }
    }
  }

  @Test func theElementTypeIsWritten() throws {
    let output = folder.path("merged")
    let merge = try Program.run(
      "merge", "--model", model, "--adapter", adapter, "--output", output, "--dtype", "bf16", "--json", in: folder)
    #expect(merge.status == 0, "\(merge.errors)")
    let config = try JSON(parsing: String(contentsOfFile: "\(output)/config.json", encoding: .utf8))
    #expect(config["dtype"]?.string == "bfloat16")
    let inspection = try Program.run("models", "inspect", output, "--json", in: folder).json
    #expect(inspection["types"]?.array?.map { $0["type"]?.string } == ["BF16"])
    #expect((try merge.json["max_difference"]?.double ?? 0) > 0)
  }

  @Test func basesAreMeasuredAndQuantizingAgainWarns() throws {
    let (output, text) = (folder.path("merged"), try folder.write("a b ab the sea a b", to: "text.txt"))
    let merge = try Program.run(
      "merge", "--model", model, "--adapter", adapter, "--output", output, "--trained-over", "nf4, double", "--text", text,
      "--quantize", "nf4", "--json", in: folder)
    #expect(merge.status == 0, "\(merge.errors)")
    let report = try merge.json
    #expect(report["base"]?.string == "dequantized" && report["bases"]?.array?.count == 2)
    #expect(report["quantized"]?["format"]?.string == "nf4, double" && report["measured_on"]?.string?.contains(text) == true)
    #expect(merge.errors.contains("warning: quantizing the merged weights as nf4, double puts the model"))
    let words = try Program.run(
      "merge", "--model", model, "--adapter", adapter, "--output", output, "--trained-over", "int8", "--force", in: folder)
    #expect(words.output.contains("merged into the dequantized base: ") && words.output.contains("; original base: "))
    let wrong = try Program.run("merge", "--model", model, "--output", output, "--trained-over", "nf5", in: folder)
    #expect(wrong.status == 2 && wrong.errors.contains("not nf5"))
  }

  @Test func aFolderWithFilesIsNotTouchedUnasked() throws {
    let result = try Program.run("merge", "--model", model, "--adapter", adapter, "--output", folder.url.path, in: folder)
    #expect(result.status == 1)
    #expect(result.errors.hasSuffix("holds files already; give another folder, or --force to write into this one\n"))
    let itself = try Program.run("merge", "--model", model, "--output", model, "--force", in: folder)
    #expect(itself.status == 1)
    #expect(itself.errors.contains("is what is read"))
  }

  @Test func aMergedHeadOfATiedModelIsWrittenApart() throws {
    let base = try TinyModels.folder("llama", in: folder).path
    let output = folder.path("merged")
    let adapter = Goldens.url("adapters/lora-modules-to-save").path
    let merge = try Program.run("merge", "--model", base, "--adapter", adapter, "--output", output, "--json", in: folder)
    #expect(merge.status == 0, "\(merge.errors)")
    #expect((try merge.json["max_difference"]?.double ?? 1) < 1e-4)
    let config = try JSON(parsing: String(contentsOfFile: "\(output)/config.json", encoding: .utf8))
    #expect(config["tie_word_embeddings"]?.bool == false)
  }

  @Test func anAdapterThatDoesNotFitIsRefused() throws {
    let gpt2 = Goldens.url("adapters/lora-gpt2").path
    let result = try Program.run("merge", "--model", model, "--adapter", gpt2, "--output", folder.path("merged"), in: folder)
    #expect(result.status == 1)
    #expect(result.errors.contains("the adapter does not fit \(model)"))
    #expect(result.errors.contains("it was made for the model “gpt2”"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("merged")))
  }
}
