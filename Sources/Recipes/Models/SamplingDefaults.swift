import Generation
import Text

extension SamplingSettings {
  /// The settings that a model's `generation_config.json` asks for.
  ///
  /// Temperature, top-k, top-p and min-p count where it sets `do_sample`, as in transformers; a temperature it leaves out is 1
  /// then. The repetition penalty counts always. What it does not say stays at the defaults here: greedy choice, no limit.
  /// - Parameter generationConfig: the object of the file; nil gives the defaults.
  public init(generationConfig: JSON?) {
    self.init()
    guard let config = generationConfig else { return }
    if let penalty = config["repetition_penalty"]?.double { repetitionPenalty = penalty }
    guard config["do_sample"]?.bool == true else { return }
    temperature = config["temperature"]?.double ?? 1
    if let count = config["top_k"]?.int { topK = count }
    if let share = config["top_p"]?.double { topP = share }
    if let share = config["min_p"]?.double { minP = share }
  }
}
