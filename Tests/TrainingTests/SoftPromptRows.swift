@testable import Tuners

extension MethodRow {
  /// The methods that learn virtual tokens.
  static var prompts: [MethodRow] {
    let there = "virtual tokens are seen as soon as they are there"
    let weights = "no weights can hold virtual tokens, which is refused"
    let exceptions: [Behaviour: String] = [.identity: there, .merge: weights, .unmerge: weights]
    var tuning = PromptTuning()
    tuning.virtualTokenCount = 4
    var (mlp, lstm) = (PTuning(), PTuning())
    (mlp.virtualTokenCount, mlp.hiddenSize) = (4, 12)
    (lstm.virtualTokenCount, lstm.hiddenSize, lstm.encoder) = (4, 12, .lstm)
    var (prefix, projected) = (PrefixTuning(), PrefixTuning())
    prefix.virtualTokenCount = 4
    (projected.virtualTokenCount, projected.hiddenSize, projected.projects) = (4, 12, true)
    var tasks = MultitaskPromptTuning()
    (tasks.virtualTokenCount, tasks.rank) = (4, 2)
    return [
      MethodRow(name: "prompt_tuning", settings: tuning, exceptions: exceptions, rate: 5e-2),
      MethodRow(name: "p_tuning (MLP)", settings: mlp, exceptions: exceptions),
      MethodRow(name: "p_tuning (LSTM)", settings: lstm, exceptions: exceptions),
      MethodRow(name: "prefix_tuning", settings: prefix, exceptions: exceptions, rate: 5e-2),
      MethodRow(name: "prefix_tuning (MLP)", settings: projected, exceptions: exceptions),
      MethodRow(name: "multitask_prompt_tuning", settings: tasks, exceptions: exceptions, rate: 5e-2),
    ]
  }
}
