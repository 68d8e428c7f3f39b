import Foundation
import OrderedCollections
import Synchronization
import Text

/// An OpenAI-compatible endpoint on this machine that answers as a test says.
public final class StubEndpoint: Sendable {
  /// What it does with a request.
  public enum Reply: Sendable {
    /// A chat completion with this text.
    case text(String)
    /// A status, headers and a body.
    case status(Int, headers: [String: String] = [:], body: String = "")
    /// Bytes in place of HTTP.
    case garbage(String)
    /// The connection stays open, and nothing comes.
    case silence
  }

  /// A request as it came.
  public struct Request: Sendable {
    /// Its number, from 0.
    public let number: Int
    /// The first line: `POST /v1/chat/completions HTTP/1.1`.
    public let line: String
    /// Headers by their names in lower case.
    public let headers: [String: String]
    /// The body as JSON; null where it is none.
    public let body: JSON

    /// The text of the last message.
    public var question: String { body["messages"]?.array?.last?["content"]?.string ?? "" }

    /// The text between `Answer A:` or `Answer B:` and what follows.
    public func answer(_ letter: String) -> String {
      let start = question.range(of: "Answer \(letter):\n<<<\n")?.upperBound ?? question.endIndex
      return question[start...].range(of: "\n>>>").map { String(question[start..<$0.lowerBound]) } ?? ""
    }
  }

  private let descriptor: Int32
  private let port: Int
  private let state = Mutex<(requests: [Request], isStopped: Bool)>(([], false))
  private let reply: @Sendable (Request) -> Reply

  /// Begins to listen.
  ///
  /// - Parameter reply: what to do with a request; called on threads of the endpoint's own.
  /// - Throws: what the system refuses.
  public init(_ reply: @escaping @Sendable (Request) -> Reply) throws {
    self.reply = reply
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    self.descriptor = descriptor
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isListening else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [weak self] in
      while true {
        let connection = accept(descriptor, nil, nil)
        guard connection >= 0 else { return }
        guard let self, !self.state.withLock({ $0.isStopped }) else {
          close(connection)
          return
        }
        Thread.detachNewThread { self.serve(connection) }
      }
    }
  }

  deinit { stop() }

  /// The base URL, without `/chat/completions`.
  public var base: String { "http://127.0.0.1:\(port)/v1" }
  /// The requests so far.
  public var requests: [Request] { state.withLock { $0.requests } }

  /// Ends listening and lets go of what is silent.
  public func stop() {
    let isFirst = state.withLock { state in
      defer { state.isStopped = true }
      return !state.isStopped
    }
    guard isFirst else { return }
    shutdown(descriptor, Int32(SHUT_RDWR))
    close(descriptor)
  }

  private func serve(_ connection: Int32) {
    defer { close(connection) }
    guard let (line, headers, body) = Self.read(connection) else { return }
    let request = state.withLock { state in
      let json = (try? JSON(parsing: body)) ?? .null
      state.requests.append(Request(number: state.requests.count, line: line, headers: headers, body: json))
      return state.requests[state.requests.count - 1]
    }
    switch reply(request) {
    case .text(let text):
      let message: JSON = ["role": "assistant", "content": .string(text)]
      write(200, [:], JSON.object(["choices": [["message": message]]]).text(), to: connection)
    case .status(let status, let headers, let body): write(status, headers, body, to: connection)
    case .garbage(let text): send(text, to: connection)
    case .silence: while !state.withLock({ $0.isStopped }) { Thread.sleep(forTimeInterval: 0.02) }
    }
  }

  private func write(_ status: Int, _ headers: [String: String], _ body: String, to connection: Int32) {
    let lines = headers.map { "\($0.key): \($0.value)\r\n" }.joined()
    send(
      "HTTP/1.1 \(status) Stub\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n"
        + lines + "\r\n" + body, to: connection)
  }

  private func send(_ text: String, to connection: Int32) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Foundation.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  /// Reads a request up to the end of its body.
  private static func read(_ connection: Int32) -> (line: String, headers: [String: String], body: [UInt8])? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      if let head = Data(bytes).range(of: Data("\r\n\r\n".utf8)) {
        let lines = String(decoding: bytes[..<head.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
          let parts = line.split(separator: ":", maxSplits: 1)
          if parts.count == 2 { headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces) }
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        if bytes.count >= head.upperBound + length {
          return (lines[0], headers, Array(bytes[head.upperBound..<head.upperBound + length]))
        }
      }
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
    }
  }
}
