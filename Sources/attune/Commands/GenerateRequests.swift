import Checkpoints
import Datasets
import Foundation
import Generation
import NN
import OrderedCollections
import Recipes
import Text

/// The requests of `attune generate --input`: one a line.
struct GenerateRequests {
  /// A line.
  struct Request {
    /// `file:line`.
    let place: String
    /// What is asked, as a conversation.
    let messages: [Message]
    /// Which adapters answer.
    let adapter: RequestAdapter
  }

  let requests: [Request]

  /// Reads `{"prompt": …, "system": …, "adapter": …, "task": …}` a line; empty lines are skipped, other keys left alone.
  ///
  /// - Throws: ``CommandError`` that names the bad lines, or says that there are none at all.
  init(_ path: String) throws {
    let lines = try JSONLines.read(path, hint: "give {\"prompt\": …} on each") { place, value in
      guard let prompt = value["prompt"]?.string else { throw CommandError("“prompt” is missing or no text") }
      var messages = [Message(role: "user", content: prompt)]
      if let system = value["system"], !system.isNull {
        guard let text = system.string else { throw CommandError("“system” is not text") }
        messages.insert(Message(role: "system", content: text), at: 0)
      }
      return Request(place: place, messages: messages, adapter: try RequestAdapter(of: value))
    }
    requests = lines
  }

  /// Answers them in batches, and hands on the lines of the output in the order of the input.
  func run(
    _ loaded: LoadedModel, _ settings: SamplingSettings, raw: Bool, write: (String) throws -> Void
  ) throws -> GenerationTiming {
    let prompts = try requests.map { request in
      do { return try tokens(request, loaded, raw: raw) } catch { throw CommandError("\(request.place): \(error)") }
    }
    try RequestAdapter.check(requests.map { ($0.place, $0.adapter) }, against: loaded.adapters)
    try refuseLong(prompts, loaded)
    return try RequestAdapter.serving(requests.map(\.adapter), with: loaded.adapters) { routing in
      var generator = Generator(loaded.model, tokenizer: loaded.text.tokenizer)
      generator.routing = routing
      let output = try generator.generate(prompts, settings: settings, shouldStop: { StopSignal.isSet })
      for sequence in output.sequences { try write(sequence.json.text(.python) + "\n") }
      return output.timing
    }
  }

  /// Refuses prompts that leave no room for an answer, before any is given.
  private func refuseLong(_ prompts: [[Int32]], _ loaded: LoadedModel) throws {
    try JSONLines.refuse(
      zip(requests, prompts).compactMap { request, prompt in
        let limit = loaded.model.tokenLimit(behind: request.adapter.virtualTokens(loaded.adapters))
        return prompt.count < limit
          ? nil
          : "\(request.place): the prompt has \(prompt.count) tokens, and the model's context of \(limit) leaves no room for an answer"
      })
  }

  private func tokens(_ request: Request, _ loaded: LoadedModel, raw: Bool) throws -> [Int32] {
    let usesTemplate = try !raw && loaded.text.template() != nil
    guard usesTemplate || request.messages.count == 1 else {
      throw CommandError("“system” needs a chat template, and the prompt is given as it is")
    }
    let tokens =
      try usesTemplate
      ? loaded.text.encode(request.messages)
      : loaded.text.tokenizer.encode(request.messages[0].content ?? "", addSpecialTokens: true)
    guard !tokens.isEmpty else { throw CommandError("the prompt is empty") }
    return tokens
  }
}

extension GeneratedSequence {
  /// What a program wants to know of it.
  var json: JSON {
    [
      "text": .string(text), "tokens": .array(ids.map { .int(Int($0)) }), "finish_reason": .string(finishReason.rawValue),
      "prompt_tokens": .int(promptTokens), "new_tokens": .int(ids.count),
    ]
  }
}
