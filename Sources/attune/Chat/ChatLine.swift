import Foundation
import Recipes

/// What a line typed in a chat asks for.
enum ChatLine {
  case nothing
  case turn(String)
  case help
  case reset
  case system(String)
  case undo
  case save(String)
  case exit

  /// The instructions there are.
  static let instructions = """
    /system TEXT  set what the system says (without TEXT: nothing)
    /undo         take back the last turn and its answer
    /reset        begin anew; the system's text stays
    /save FILE    write the conversation as JSON
    /exit         leave, as Ctrl-D does
    Ctrl-C        stop the answer; again to leave
    """

  private static let names = ["/help", "/system", "/undo", "/reset", "/save", "/exit"]

  /// Reads a line.
  ///
  /// - Throws: ``CommandError`` for an instruction that is not known or lacks its argument.
  init(_ line: String) throws(CommandError) {
    let text = line.trimmingCharacters(in: .whitespaces)
    guard text.hasPrefix("/") else {
      self = text.isEmpty ? .nothing : .turn(line)
      return
    }
    let parts = text.split(separator: " ", maxSplits: 1)
    let rest = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
    switch parts[0] {
    case "/help": self = .help
    case "/reset": self = .reset
    case "/system": self = .system(rest)
    case "/undo": self = .undo
    case "/exit", "/quit": self = .exit
    case "/save":
      guard !rest.isEmpty else { throw CommandError("/save needs a file: /save chat.json") }
      self = .save(rest)
    default:
      let hint = nearestName(to: String(parts[0]), among: Self.names).map { "; did you mean \($0)?" } ?? ""
      throw CommandError("there is no instruction \(parts[0])\(hint) /help lists them")
    }
  }
}
