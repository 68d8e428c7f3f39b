// swift-tools-version: 6.2
import Foundation
import PackageDescription

// libtorch is found through one link in the repository root, made by Scripts/bootstrap.
let torchRoot = Context.packageDirectory + "/.libtorch"
let torchHasCUDA = FileManager.default.fileExists(atPath: torchRoot + "/lib/libtorch_cuda.so")
// libtorch.so itself is an empty umbrella over every part, the CUDA one included, so the parts are named.
let torchLibraries = ["torch_cpu", "c10"] + (torchHasCUDA ? ["torch_cuda", "c10_cuda"] : [])

/// The settings of every Swift target of ours: warnings are errors, and an existential says so.
let house: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")

func library(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
  .target(name: name, dependencies: dependencies, path: path, swiftSettings: house)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: [.target(name: name)] + dependencies, path: "Tests/\(name)Tests", swiftSettings: house)
}

/// Text, Datasets and Rewards, which need no libtorch: `ATTUNE_WITHOUT_TORCH=1 swift test` builds and tests them alone, in seconds.
let light: [Target] = [
  library("Text", [collections]),
  library("Datasets", ["Text", collections]),
  library("Rewards", ["Text", collections]),
  tests("Text", [collections]),
  tests("Datasets", ["Text"]),
  tests("Rewards", ["Text", collections]),
]

let heavy: [Target] = [
  .target(
    name: "CTorch",
    cxxSettings: [
      .unsafeFlags([
        "-std=c++20", "-O2", "-isystem", torchRoot + "/include",
        "-isystem", torchRoot + "/include/torch/csrc/api/include",
        "-Wall", "-Wextra", "-Werror",
      ])
    ],
    linkerSettings: [
      .unsafeFlags(
        ["-L" + torchRoot + "/lib", "-Xlinker", "-rpath", "-Xlinker", torchRoot + "/lib", "-Xlinker", "--no-as-needed"]
          + torchLibraries.map { "-l" + $0 } + ["-Xlinker", "--as-needed"])
    ]),
  library("Torch", ["CTorch"]),
  library("NN", ["Torch"]),
  library("Checkpoints", ["Torch", "CTorch", "Text", collections]),
  library("Models", ["NN", "Checkpoints", "Torch", "Text"]),
  library("Tuners", ["NN", "Checkpoints", "Torch", "Text", collections]),
  library("Generation", ["NN", "Text", "Torch"]),
  library("Evaluation", ["Generation", "Datasets", "NN", "Text", "Torch"]),
  library("Preferences", ["Datasets", "Text", collections, grdb]),
  library("Judging", ["Preferences", "Evaluation", "Generation", "NN", "Text", collections]),
  library("Objectives", ["NN", "Datasets", "Torch"]),
  library("Training", ["Objectives", "Tuners", "Checkpoints", "NN", "Datasets", "Text", "Torch", collections]),
  library(
    "Reinforcement",
    [
      "Training", "Objectives", "Generation", "Rewards", "Tuners", "Datasets", "Checkpoints", "NN", "Text", "Torch",
      collections,
    ]),
  library(
    "Recipes",
    [
      "Reinforcement", "Rewards", "Training", "Models", "Tuners", "Judging", "Preferences", "Evaluation", "Objectives",
      "Generation", "Datasets", "Checkpoints", "NN", "Text", "Torch", yams, collections,
    ]),
  .executableTarget(
    name: "attune",
    dependencies: [
      "Recipes", "Training", "Models", "Tuners", "Judging", "Preferences", "Evaluation", "Generation", "Datasets",
      "Checkpoints", "NN", "Text", "Torch", arguments, collections,
    ],
    swiftSettings: house),
  library("TestSupport", ["Checkpoints", "Models", "NN", "Text", "Torch", collections]),
  tests("CTorch", []),
  tests("Torch", ["CTorch", "Checkpoints", "TestSupport"]),
  tests("NN", ["Torch", "Checkpoints", "TestSupport"]),
  tests("Checkpoints", ["Torch", "Text", "CTorch", collections, "TestSupport"]),
  tests("Models", ["NN", "Torch", "Text", "Checkpoints", "TestSupport"]),
  tests("Tuners", ["NN", "Models", "Torch", "Text", "Checkpoints", "TestSupport", collections]),
  tests("Generation", ["NN", "Models", "Text", "Torch", "Checkpoints", "TestSupport"]),
  tests("Evaluation", ["Generation", "NN", "Models", "Text", "Torch", "Datasets", "Checkpoints", "TestSupport"]),
  tests("Judging", ["Preferences", "Generation", "NN", "Models", "Text", "Torch", "TestSupport", collections]),
  tests("Preferences", ["Datasets", "Text", "TestSupport", grdb, collections]),
  tests(
    "Training",
    ["Objectives", "Tuners", "Models", "Datasets", "Checkpoints", "NN", "Text", "Torch", "TestSupport", collections]),
  tests(
    "Reinforcement",
    [
      "Training", "Objectives", "Generation", "Rewards", "Tuners", "Models", "Datasets", "Checkpoints", "NN", "Text", "Torch",
      "TestSupport", collections,
    ]),
  tests(
    "Recipes",
    [
      "Training", "Models", "Tuners", "Judging", "Preferences", "Evaluation", "Objectives", "Generation", "Datasets",
      "Checkpoints", "NN", "Text", "Torch", "TestSupport", collections,
    ]),
  tests("attune", ["Text", "TestSupport", collections]),
]

let withoutTorch = Context.environment["ATTUNE_WITHOUT_TORCH"] == "1"

let package = Package(
  name: "attune",
  products: withoutTorch
    ? []
    : [
      .executable(name: "attune", targets: ["attune"]),
      .library(name: "Attune", targets: ["Recipes"]),
    ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0")
  ]
    + (withoutTorch
      ? []
      : [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
      ]),
  targets: withoutTorch ? light : light + heavy,
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx20
)
