import CTorch

/// Runs `body` without recording operations for gradients; the state before comes back even if it throws.
///
/// The state belongs to the thread, so `body` is synchronous.
public func withoutGradients<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
  try withGradients(false, body)
}

/// Runs `body` with operations recorded for gradients, also inside ``withoutGradients(_:)``.
public func withGradients<Result, Failure: Error>(
  _ enabled: Bool = true, _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
  let before = ct_grad_enabled()
  ct_set_grad_enabled(enabled)
  defer { ct_set_grad_enabled(before) }
  return try body()
}

extension Tensor {
  /// Whether operations on it are recorded, so that ``backward()`` reaches it.
  public var requiresGradient: Bool {
    var value = false
    withExtendedLifetime(storage) { _ = ct_requires_grad(raw, &value) }
    return value
  }

  /// Says whether gradients are wanted for this tensor, which no operation made.
  public func setRequiresGradient(_ value: Bool) throws(TorchError) {
    try Tensor.run("requires_grad_", self) { ct_set_requires_grad(raw, value) }
  }

  /// The same numbers, outside the graph.
  public func detached() throws(TorchError) -> Tensor {
    try Tensor.make("detach", self) { ct_detach(raw, $0) }
  }

  /// Adds the gradient of this one number to every tensor that requires one.
  public func backward() throws(TorchError) {
    try Tensor.run("backward", self) { ct_backward(raw) }
  }

  /// The gradient gathered so far; nil where there is none, as for the result of an operation.
  public func gradient() throws(TorchError) -> Tensor? {
    var has = false
    var out = ct_tensor()
    try Tensor.run("grad", self) { ct_grad(raw, &has, &out) }
    return has ? Tensor(owning: out) : nil
  }

  /// Replaces the gradient by one of the same shape, type and device; nil clears it.
  public func setGradient(_ gradient: Tensor?) throws(TorchError) {
    try Tensor.run("set_grad", self, gradient) { ct_set_grad(raw, gradient?.raw ?? ct_tensor()) }
  }
}

// MARK: - When a gradient is complete

extension Tensor {
  /// Has `body` called with this tensor in each backward pass that reaches it, when nothing more will be added to its gradient in that
  /// pass; nil for nothing any more. An error of `body` ends the backward pass.
  ///
  /// The tensor is handed to `body` so that it need not be captured, which would keep it for ever.
  public func onGradient(_ body: ((Tensor) throws(TorchError) -> Void)?) throws(TorchError) {
    guard let body else { return try Tensor.run("on_gradient", self) { ct_clear_on_gradient(raw) } }
    let function = ct_gradient_function(
      context: Unmanaged.passRetained(GradientFunction(body)).toOpaque(),
      run: { context, tensor in
        let tensor = Tensor(owning: tensor)
        guard let context else { return ct_fail("a gradient without a function") }
        return Unmanaged<GradientFunction>.fromOpaque(context).takeUnretainedValue().run(tensor)
      },
      release: { context in
        if let context { Unmanaged<GradientFunction>.fromOpaque(context).release() }
      })
    try Tensor.run("on_gradient", self) { ct_on_gradient(raw, function) }
  }
}

/// What the shim calls for a gradient.
private final class GradientFunction {
  private let body: (Tensor) throws(TorchError) -> Void

  init(_ body: @escaping (Tensor) throws(TorchError) -> Void) { self.body = body }

  func run(_ tensor: Tensor) -> ct_status {
    do {
      try body(tensor)
      return CT_OK
    } catch {
      return ct_fail(error.description)
    }
  }
}
