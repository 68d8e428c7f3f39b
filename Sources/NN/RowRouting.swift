/// Who is told, before each pass through a model, whose rows it is made of, so that parts of the model can treat requests
/// differently within one batch.
public protocol RowRouting: AnyObject {
  /// What tells requests apart: rows of two requests with one number are treated alike, and may share work.
  func kind(of request: Int) -> Int
  /// How many virtual tokens stand before the rows of a request.
  func virtualTokens(of request: Int) -> Int
  /// Tells the rows of the next pass, in their order: each request, and how many rows of it follow.
  func route(_ rows: [(request: Int, count: Int)])
}
