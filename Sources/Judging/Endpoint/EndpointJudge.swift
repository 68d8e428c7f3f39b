import Preferences

/// A model behind an OpenAI-compatible endpoint that judges in words.
///
/// What does not come in time, comes with status 408, 409, 425, 429 or 5xx, or holds no verdict is asked for again, after a growing
/// delay or the one that `Retry-After` asks for. Status 401, 403 and 404 concern every question, and are fatal.
public struct EndpointJudge: Judge {
  private let chat: EndpointChat
  private let rubric: Rubric

  /// A judge.
  public init(_ settings: EndpointSettings, rubric: Rubric) { (chat, self.rubric) = (EndpointChat(settings), rubric) }

  /// Judges questions, and delivers what comes of each.
  public func judge(
    _ questions: [Question], shouldStop: () -> Bool, deliver: (Int, Result<Judgement, JudgeFailure>) throws -> Void
  ) throws {
    let conversations = questions.map { rubric.messages($0, reply: .object) }
    try chat.ask(conversations, shouldStop: shouldStop, accept: VerdictReader.read, deliver: deliver)
  }
}
