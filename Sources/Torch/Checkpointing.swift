import CTorch

/// The results of `body`, of which nothing but the inputs is kept for the backward pass: that calls it again, with the random
/// numbers it had. Chen et al., arXiv:1604.06174.
///
/// Tensors that `body` captures and that take gradients get them as well. Outside of recording it is simply called. Inside of
/// ``keepingActivations(_:during:)`` the inputs are kept where that says.
///
/// - Parameters:
///   - inputs: one at least; only what is made of them is made again.
///   - outputs: how many results `body` has.
///   - body: the computation. It must not hand out an input as it is.
/// - Throws: what `body` throws, and in the backward pass an error with its words.
public func checkpointed(
  _ inputs: [Tensor], outputs: Int, _ body: @escaping ([Tensor]) throws(TorchError) -> [Tensor]
) throws(TorchError) -> [Tensor] {
  guard ct_grad_enabled() else { return try body(inputs) }
  let kept = try ActivationKeeper.current?.keep(inputs)
  let part = CheckpointedPart(body)
  let function = ct_function(
    context: Unmanaged.passRetained(part).toOpaque(),
    run: { context, inputs, inputCount, outs, outputCount in
      guard let context, let inputs, let outs else { return ct_fail("a checkpoint without a function") }
      let part = Unmanaged<CheckpointedPart>.fromOpaque(context).takeUnretainedValue()
      return part.run(
        UnsafeBufferPointer(start: inputs, count: Int(inputCount)),
        UnsafeMutableBufferPointer(start: outs, count: Int(outputCount)))
    },
    release: { context in
      if let context { Unmanaged<CheckpointedPart>.fromOpaque(context).release() }
    })
  var outs = [ct_tensor](repeating: ct_tensor(), count: outputs)
  let status = withExtendedLifetime((inputs, kept)) {
    ct_checkpoint(function, inputs.map(\.raw), Int64(inputs.count), kept?.map(\.raw), &outs, Int64(outputs))
  }
  guard status == CT_OK else {
    throw part.failure ?? TorchError(status, operation: "checkpoint", operands: inputs)
  }
  return outs.map(Tensor.init(owning:))
}

/// Runs `body`, in which what ``checkpointed(_:outputs:_:)`` keeps for the backward pass is kept as copies made by `copy`, in memory that
/// the system may write to a disk. Each is let go when the backward pass has used it once.
///
/// - Parameters:
///   - copy: a tensor on the CPU with the numbers of the one given, to the bit.
///   - body: the forward pass; it runs on this thread.
/// - Throws: what `body` throws; where `copy` throws, `body` gets a ``TorchError`` with its words.
public func keepingActivations<Result>(
  _ copy: @escaping (Tensor) throws -> Tensor, during body: () throws -> Result
) rethrows -> Result {
  try ActivationKeeper.$current.withValue(ActivationKeeper(copy), operation: body)
}

/// Where the activations of the pass at work are kept. It is used on the thread of that pass alone.
private final class ActivationKeeper: @unchecked Sendable {
  @TaskLocal static var current: ActivationKeeper?

  private let copy: (Tensor) throws -> Tensor

  init(_ copy: @escaping (Tensor) throws -> Tensor) { self.copy = copy }

  func keep(_ tensors: [Tensor]) throws(TorchError) -> [Tensor] {
    do { return try tensors.map(copy) } catch let error as TorchError { throw error } catch {
      throw TorchError(operation: "checkpoint", message: "activations cannot be kept: \(error)")
    }
  }
}

/// A computation that the shim calls, with what it threw last.
private final class CheckpointedPart {
  private let body: ([Tensor]) throws(TorchError) -> [Tensor]
  private(set) var failure: TorchError?

  init(_ body: @escaping ([Tensor]) throws(TorchError) -> [Tensor]) { self.body = body }

  /// Owns `inputs`; fills `outs` with tensors of their own.
  func run(_ inputs: UnsafeBufferPointer<ct_tensor>, _ outs: UnsafeMutableBufferPointer<ct_tensor>) -> ct_status {
    do {
      let results = try body(inputs.map(Tensor.init(owning:)))
      guard results.count == outs.count else { return ct_fail("\(results.count) results for \(outs.count)") }
      for (place, result) in results.enumerated() {
        var handle = ct_tensor()  // a second one of the same tensor
        try Tensor.run("contiguous", result) { ct_contiguous(result.raw, &handle) }
        outs[place] = handle
      }
      return CT_OK
    } catch {
      failure = error
      return ct_fail(error.description)
    }
  }
}
