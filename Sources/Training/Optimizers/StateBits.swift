import Text
import Torch
import Tuners

/// How many bits an optimizer keeps of each number it remembers.
public enum StateBits: Int, Sendable, Hashable, CaseIterable {
  /// 8: codes of a dynamic map and a scale for each 256 numbers. Dettmers et al., arXiv:2110.02861, as bitsandbytes has it.
  case eight = 8
  /// 32: float32.
  case thirtyTwo = 32
}

/// An optimizer that keeps means of its gradients, in 32 or in 8 bits.
public protocol KeepsMeans: OptimizerMethod {
  /// How many bits a number of the means has.
  var bits: StateBits { get set }
  /// The size from which a parameter's means have 8 bits; smaller ones keep 32.
  var leastCodedSize: Int { get set }
  /// Whether the means are kept in a file that the system can page.
  var isPaged: Bool { get set }
}

extension KeepsMeans {
  /// The settings that say how means are kept.
  static var meansSettings: [Setting<Self>] {
    [
      Setting(
        "optim_bits",
        read: { source, key, method in
          guard let bits = try source.int(key, in: 8...32) else { return }
          guard let known = StateBits(rawValue: bits) else { throw source.error(key, "must be 8 or 32, not \(bits)") }
          method.bits = known
        }, value: { .int($0.bits.rawValue) }),
      .int("min_8bit_size", \.leastCodedSize, in: 0...1 << 40), .bool("is_paged", \.isPaged),
    ]
  }

  /// The same rule with its means in memory.
  public var unpaged: Self {
    var unpaged = self
    unpaged.isPaged = false
    return unpaged
  }

  /// Means of these names of a parameter: their numbers, or their codes and scales.
  func means(_ names: [String], of shape: [Int]) -> [OptimizerMemory] {
    let count = shape.reduce(1, *)
    guard bits == .eight, count >= leastCodedSize else { return names.map { OptimizerMemory($0, shape) } }
    let blocks = (count + BlockCodes.blockSize - 1) / BlockCodes.blockSize
    return names.flatMap { [OptimizerMemory($0, shape, .uint8), OptimizerMemory($0 + "_absmax", [blocks])] }
  }

  /// The means of a parameter out of what is remembered of it.
  func states(_ memory: [Tensor]) -> [StepState] {
    guard memory.first?.dtype == .uint8 else { return memory.map { .numbers($0) } }
    return stride(from: 0, to: memory.count, by: 2).map { .codes(memory[$0], scales: memory[$0 + 1]) }
  }
}
