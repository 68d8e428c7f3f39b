import TestSupport
import Testing
import Torch

/// Work without numbers takes the memory that it takes with them.
@Suite(.serialized) struct MemoryRehearsalTests {
  private let megabyte = 1 << 20

  @Test func piecesAreCountedAndGivenBack() throws {
    let report = try MemoryRehearsal.run(on: .cpu) { rehearsal in
      try rehearsal.enter(.forward)
      let kept = try Tensor.empty([1 << 18], device: .meta)
      try rehearsal.enter(.backward)
      do {
        let more = try Tensor.zeros([1 << 20], device: .meta)
        #expect(more.device == .meta && more.shape == [1 << 20])
        #expect(try rehearsal.report().live == 5 * megabyte)
      }
      #expect(try rehearsal.report().live == megabyte)
      return try withExtendedLifetime(kept) { try rehearsal.report() }
    }
    #expect(report.most == 5 * megabyte && report.live == megabyte)
    #expect(report.atMost[.forward] == megabyte && report.atMost[.backward] == 4 * megabyte && report.staying[.backward] == 0)
    // Both lie in three huge pages.
    #expect(report.resident == 6 * megabyte)
  }

  /// A pass with gradients: the same sizes as with numbers, and nothing is computed.
  @Test func kernelsOfOursTakePart() throws {
    let (rows, width) = (512, 256)
    let live = try MemoryRehearsal.run(on: .cpu) { rehearsal in
      let x = try Tensor.empty([rows, width], device: .meta)
      let weight = try Tensor.empty([width], device: .meta)
      try x.setRequiresGradient(true)
      let before = try rehearsal.report().live
      let normed = try x.rmsNorm(weight, eps: 1e-6)
      let kept = try rehearsal.report().live - before
      try normed.sum().backward()
      let gradient = try #require(try x.gradient())
      #expect(gradient.shape == [rows, width] && gradient.device == .meta)
      #expect(try normed.sum().item() == 0)
      return kept
    }
    // The result, and two float32 numbers for each row.
    let scales = 8 * rows
    #expect(live >= 4 * rows * width + scales && live <= 4 * rows * width + scales + 256)
  }

  @Test func onAGPUItIsLibtorchsOperations() throws {
    func kept(_ device: Device) throws -> Int {
      try MemoryRehearsal.run(on: device) { rehearsal in
        let x = try Tensor.empty([256, 256], device: .meta)
        try x.setRequiresGradient(true)
        let y = try x.swiglu(x)
        return try withExtendedLifetime(y) { try rehearsal.report().live }
      }
    }
    #expect(try kept(.cpu) == 2 * 4 * 256 * 256)
    #expect(try kept(.cuda(0)) > kept(.cpu))
  }

  @Test func tensorsOutliveIt() throws {
    let tensor = try MemoryRehearsal.run(on: .cpu) { _ in try Tensor.empty([1 << 20], device: .meta) }
    #expect(tensor.shape == [1 << 20])
    #expect(throws: TorchError.self) {
      try MemoryRehearsal.run(on: .cpu) { _ in try MemoryRehearsal.run(on: .cpu) { _ in } }
    }
    // The thread computes again.
    #expect(try Tensor.ones([4, 64]).rmsNorm(.ones([64]), eps: 0).sum().item() == 256)
  }

  @Test func shapesOnly() throws {
    let made = try withShapesOnly { () throws(TorchError) in (try Tensor.empty([3]), try Tensor.ones([3])) }
    #expect(made.0.device == .meta && made.1.device == .cpu)
    #expect(try Tensor.empty([3]).device == .cpu)
  }

  @Test(arguments: [PackedWeight.Format.nf4, .fp4, .int8], [true, false]) func packedWeights(
    _ format: PackedWeight.Format, _ doubleQuant: Bool
  ) throws {
    let weight = try Tensor.ones([48, 96])
    let packed = try PackedWeight(packing: weight, as: format, doubleQuant: doubleQuant)
    let planned = try PackedWeight(shapeOnly: [48, 96], as: format, doubleQuant: doubleQuant, dtype: .float32)
    #expect(planned.byteCount == packed.byteCount)
    let out = try MemoryRehearsal.run(on: .cpu) { _ in
      try Tensor.empty([64, 96], device: .meta).linears([LinearWeight(packed: planned)])[0].shape
    }
    #expect(out == [64, 48])
  }
}
