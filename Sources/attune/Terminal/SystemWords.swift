import Foundation

/// What the system says about a failure, with the path concerned. Foundation's errors describe themselves to programmers.
func systemWords(for error: any Error) -> String {
  if let error = error as? POSIXError { return String(cString: strerror(error.code.rawValue)) }
  guard let error = error as? CocoaError else { return "\(error)" }
  let path = error.userInfo[NSFilePathErrorKey] as? String ?? (error.userInfo[NSURLErrorKey] as? URL)?.path
  let cause = error.userInfo[NSUnderlyingErrorKey] as? POSIXError
  let reason = cause.map { systemWords(for: $0) } ?? error.localizedDescription
  return path.map { "\($0): \(reason)" } ?? reason
}
