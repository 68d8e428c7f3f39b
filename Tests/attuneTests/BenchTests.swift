import Foundation
import TestSupport
import Testing
import Text

@Suite struct BenchTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder, withTokenizer: false).path
  }

  @Test func stepsAreReportedAsJSON() throws {
    let result = try Program.run(
      "bench", "--model", model, "--batch-size", "2", "--length", "8", "--steps", "2", "--warmup", "1", "--dtype", "f32",
      "--json",
      in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    for key in [
      "min_step_seconds", "median_step_seconds", "tokens_per_second", "mean_tokens_per_second", "peak_memory_bytes",
      "model_flops",
      "model_flops_per_second", "matmul_flops_per_second", "utilization",
    ] {
      #expect((json[key]?.double ?? 0) > 0, "\(key)")
    }
    #expect(json["step_tokens"]?.ids == [16, 16])
    #expect((json["method"]?.string, json["dtype"]?.string, json["device"]?.string) == ("lora", "f32", "cpu"))
    #expect(json["machine"]?["instructions"]?.array != nil)
    for key in ["processor", "cores", "memory_bytes", "threads", "libtorch"] { #expect(json["machine"]?[key] != nil, "\(key)") }
  }

  @Test func samplesOfAFileAreTrainedOn() throws {
    let samples = try folder.write(
      (2...5).map { #"{"tokens": ["# + Array(repeating: "7", count: $0).joined(separator: ", ") + "]}\n" }.joined(), to: "samples"
    )
    let result = try Program.run(
      "bench", "train", "--model", model, "--samples", samples, "--batch-size", "2", "--steps", "2", "--warmup", "0",
      "--method", "full", "--dtype", "f32", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    #expect(json["step_tokens"]?.ids == [5, 9])
    #expect(json["tokens_per_second"] == json["mean_tokens_per_second"])
  }

  @Test func generationIsReportedAsJSON() throws {
    let result = try Program.run(
      "bench", "generate", "--model", model, "--streams", "2", "--prompt-length", "4", "--new-tokens", "3", "--steps", "1",
      "--warmup", "0", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    for key in [
      "time_to_first_token", "prefill_tokens_per_second", "decode_tokens_per_second", "tokens_per_second", "peak_memory_bytes",
    ] {
      #expect((json[key]?.double ?? 0) > 0, "\(key)")
    }
  }

  @Test func aModelIsWrittenAndMeasured() throws {
    let config = try folder.write(
      #"{"model_type": "gpt2", "vocab_size": 50, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 32}"#, to: "config.json")
    let written = try Program.run("bench", "model", config, "--dtype", "f32", "--output", folder.path("random"), in: folder)
    #expect(written.output == folder.path("random") + "\n", "\(written.errors)")
    for arguments in [["--model", folder.path("random")], ["--config", config]] {
      let result = try Program.run(
        arguments: ["bench"] + arguments + ["--length", "16", "--steps", "1", "--warmup", "0"], in: folder)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output.contains("tokens a second"))
    }
  }

  @Test(arguments: [[], ["--model", "a", "--config", "b"], ["recipe.yaml", "--model", "a"], ["--model", "a", "--set", "x=1"]])
  func oneThingIsMeasured(_ arguments: [String]) throws {
    #expect(try Program.run(arguments: ["bench"] + arguments, in: folder).status == 2)
  }
}
