extension TrainingOptions {
  /// Refuses what steps inside the backward pass cannot do: they move a parameter before the other gradients are known.
  ///
  /// - Parameter gradientsComeWhole: whether each gradient is complete at one moment, and nothing follows it but the optimizer.
  /// - Throws: ``TrainingError`` that says which setting to change.
  public func checkBackwardSteps(gradientsComeWhole: Bool) throws(TrainingError) {
    guard optimizer.isInBackward else { return }
    let start = "in_backward moves each parameter as soon as its gradient is complete"
    guard gradientAccumulation == 1 else {
      throw TrainingError("\(start), so gradients of several batches cannot be gathered: set gradient_accumulation to 1")
    }
    guard maxGradientNorm == nil else {
      throw TrainingError("\(start), before the norm of all is known: set max_grad_norm to 0, which clips nothing")
    }
    guard gradientsComeWhole else {
      throw TrainingError("\(start), which is for methods that tune the model's own weights: full, bitfit")
    }
  }
}
