import ArgumentParser
import Foundation
import OrderedCollections
import Recipes
import Text
import Torch

/// `attune doctor`: what the program finds on this machine.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what this machine has, and whether something needed is missing.",
    discussion: """
      Exits with status 1 where something needed is missing.

      Example:
        attune doctor
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let findings = Finding.all()
    if json {
      let members = findings.map { ($0.key, ["value": $0.value, "ok": .bool($0.problem == nil)] as JSON) }
      let problems = findings.compactMap(\.problem).map(JSON.string)
      let report: JSON = [
        "version": .string(Attune.version), "findings": .object(.init(uniqueKeysWithValues: members)),
        "problems": .array(problems),
      ]
      try Terminal.output.write(report.text(.pretty) + "\n")
    } else {
      let rows = findings.map { [$0.problem == nil ? "ok" : "MISSING", $0.name, $0.words] }
      try Terminal.output.write(TextTable([["", "attune", Attune.version]] + rows).lines.joined(separator: "\n") + "\n")
    }
    let problems = findings.compactMap(\.problem)
    for problem in problems { Log.error(problem) }
    if !problems.isEmpty { throw ExitCode.failure }
  }
}

/// One thing that the doctor looked at.
private struct Finding {
  /// What a program calls it.
  let key: String
  /// What a person calls it.
  let name: String
  let value: JSON
  /// The value for a person.
  let words: String
  /// What is missing, and what to do; nil where nothing is.
  var problem: String?

  init(_ key: String, _ name: String, _ value: JSON, _ words: String? = nil, problem: String? = nil) {
    (self.key, self.name, self.value, self.problem) = (key, name, value, problem)
    self.words = words ?? value.string ?? value.text()
  }

  static func all() -> [Finding] {
    [
      libtorch, library, arithmetic, Finding("processor", "processor", .string(Processor.name)),
      Finding("cpu_capability", "instructions", .string(TorchRuntime.cpuCapability)),
      bfloat16, Finding("threads", "threads", .int(TorchRuntime.threads)), memory, gpu, models, store,
    ]
  }

  private static var bfloat16: Finding {
    let isDefault = Processor.prefersBFloat16
    guard Processor.multipliesBFloat16 else {
      return Finding("bfloat16", "bfloat16 products", .bool(isDefault), "not in hardware: f32 is the default")
    }
    let gain = Processor.bfloat16Gain.formatted(.number.precision(.fractionLength(1)).locale(Locale(identifier: "en_US_POSIX")))
    return Finding(
      "bfloat16", "bfloat16 products", .bool(isDefault),
      "in hardware, \(gain) times as fast as float32: \(isDefault ? "bf16" : "f32") is the default")
  }

  private static var libtorch: Finding {
    let version = TorchRuntime.version
    let isRight = version.hasPrefix("2.13.")
    return Finding(
      "libtorch", "libtorch", .string(version),
      problem: isRight ? nil : "libtorch is \(version), and 2.13 is needed; run Scripts/bootstrap and build again")
  }

  /// The file that the loader took.
  private static var library: Finding {
    let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
    let path = maps.split(separator: "\n").lazy.compactMap { line in
      line.firstIndex(of: "/").map { String(line[$0...]) }
    }.first { $0.contains("libtorch_cpu") }
    return Finding("libtorch_path", "loaded from", path.map(JSON.string) ?? .null, path ?? "not known")
  }

  /// A product small enough to know: [1 2] · [3 4]ᵀ = 11.
  private static var arithmetic: Finding {
    let result = Result { () throws -> Double in
      let product = try Tensor([1, 2] as [Float], shape: [1, 2]).matmul(Tensor([3, 4] as [Float], shape: [2, 1]))
      return try product.array(Double.self)[0]
    }
    switch result {
    case .success(11): return Finding("arithmetic", "arithmetic", true, "works")
    case .success(let wrong):
      return Finding("arithmetic", "arithmetic", false, "wrong", problem: "libtorch says 1·3 + 2·4 = \(wrong); fetch it again")
    case .failure(let error):
      return Finding("arithmetic", "arithmetic", false, "fails", problem: "libtorch cannot multiply: \(error)")
    }
  }

  private static var memory: Finding {
    let available = Memory.available
    return Finding(
      "memory", "memory", ["total": .int(Memory.total), "available": available.map(JSON.int) ?? .null],
      Memory.total.asBytes + (available.map { ", \($0.asBytes) available" } ?? ""))
  }

  private static var gpu: Finding {
    let count = TorchRuntime.cudaDeviceCount
    return Finding("gpus", "GPUs", .int(count), count > 0 ? "\(count), through CUDA" : "none that this libtorch can use")
  }

  private static var models: Finding {
    do {
      let names = try ModelStore.standard.entries().keys + ModelStore.local(in: "models").map(\.name)
      return Finding(
        "models", "models", .array(names.map(JSON.string)), names.isEmpty ? "none yet" : names.joined(separator: ", "))
    } catch {
      return Finding("models", "models", .null, "not readable", problem: "the model store cannot be read: \(error)")
    }
  }

  private static var store: Finding {
    let path = ModelStore.standard.folder.path
    var place = ModelStore.standard.folder
    // The store is made when the first name is added.
    while !FileManager.default.fileExists(atPath: place.path), place.path != "/" { place.deleteLastPathComponent() }
    let isWritable = FileManager.default.isWritableFile(atPath: place.path)
    return Finding(
      "store", "model store", .string(path),
      problem: isWritable ? nil : "the model store \(path) cannot be written; set ATTUNE_HOME to a folder that can")
  }
}
