import Foundation
import Testing
import Text

@testable import Datasets

@Suite struct ReaderTests {
  let scratch: Scratch

  init() throws {
    scratch = try Scratch()
  }

  private func lines(_ dataset: Dataset) -> [Int] { dataset.samples.map(\.location.line) }
  private func texts(_ dataset: Dataset) -> [String] { dataset.samples.map(\.answer) }

  @Test func jsonLinesMayHaveMarkBlankLinesAndCRLF() throws {
    let data = try scratch.load("a.jsonl", "\u{FEFF}{\"text\":\"a\"}\r\n\r\n  \n{\"text\":\"b\"}")
    #expect(texts(data) == ["a", "b"])
    #expect(lines(data) == [1, 4])
  }

  @Test func linesAreCutAtTheirEndsWhateverTheChunks() throws {
    let path = try scratch.file("a.jsonl", "one\r\ntwo\n\nlonger than ten\nlast\r")
    for chunkSize in 1...12 {
      var reader = try LineReader(path: path, limit: 10, chunkSize: chunkSize)
      var found: [String] = []
      while let line = try reader.next() {
        found.append("\(line.number):" + (line.isTooLong ? "!" : String(decoding: line.bytes, as: UTF8.self)))
      }
      #expect(found == ["1:one", "2:two", "3:", "4:!", "5:last"])
    }
  }

  @Test func jsonMayBeAnArrayAnObjectWithOneOrARow() throws {
    let array = "[{\"text\":\"a,]\"},\n\n {\"text\":\n\"b\\\"}\"}\n]"
    #expect(texts(try scratch.load("a.json", array)) == ["a,]", "b\"}"])
    #expect(lines(try scratch.load("a.json", array)) == [1, 3])
    let wrapped = "{\"version\":\"1]\",\n\"rows\":[{\"text\":\"a\"},\n{\"text\":\"b\"}],\"n\":{\"x\":[1]}}"
    #expect(lines(try scratch.load("b.json", wrapped)) == [2, 3])
    let row = "{\n\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}"
    #expect(texts(try scratch.load("c.json", row)) == ["a"])
    #expect(complaint { _ = try scratch.load("d.json", "{\"a\":[{}],\"b\":[{}]}") }.contains("several arrays (“a”, “b”)"))
  }

  @Test func wrongExtensionsOfJSONAreForgiven() throws {
    #expect(lines(try scratch.load("lines.json", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n")) == [1, 2])
    #expect(lines(try scratch.load("array.jsonl", "\n[{\"text\":\"a\"},\n{\"text\":\"b\"}]")) == [2, 3])
  }

  @Test func aFileThatIsCutOffKeepsWhatCanBeRead() throws {
    let path = try scratch.file("cut.json", "[{\"text\":\"a\"},\n{\"text\":\"b\"},\n{\"text\":\"c")
    let data = try Dataset.load([DataSource(path: path)], badRows: .skip)
    #expect(texts(data) == ["a", "b"])
    #expect(scratch.relative(data.badRows.description).contains("cut.json:3: is cut off"))
  }

  @Test func csvFollowsRFC4180() throws {
    let csv = "instruction,output\r\n\"a, \"\"b\"\"\",\"two\r\nlines\"\r\nplain,\u{E9}\n\n\"\",last"
    let data = try scratch.load("a.csv", csv, format: "alpaca")
    #expect(texts(data) == ["two\r\nlines", "é", "last"])
    #expect(lines(data) == [2, 4, 6])
    #expect(data.samples[0].messages?[0].content == "a, \"b\"")
  }

  @Test func tabsDivideTSV() throws {
    #expect(texts(try scratch.load("a.tsv", "prompt\tcompletion\na,b\tc \"d\"\n")) == ["c \"d\""])
  }

  @Test(arguments: [
    ("text\n\"a\"b\n", "a.csv:2: has text after the closing quote of field 1"),
    ("text\nok\n\"never\nclosed", "a.csv:3: has a quote in field 1 that is never closed"),
    ("text,label\nx\n", "a.csv:2: has 1 fields where the header has 2"),
    ("text,text\n", "names “text” twice"),
    ("text,\n", "leaves column 2 without a name"),
  ])
  func csvFaultsAreNamed(_ csv: String, _ expected: String) throws {
    #expect(scratch.relative(complaint { _ = try scratch.load("a.csv", csv) }).contains(expected))
  }

  @Test func aTextFileIsOneDocumentAndAFolderAllItsFiles() throws {
    _ = try scratch.file("b.txt", "second\n\nstill second")
    _ = try scratch.file("a.txt", "first")
    _ = try scratch.file("c.png", "no data")
    _ = try scratch.file("empty.txt", " \n")
    let data = try Dataset.load([DataSource(path: scratch.path)])
    #expect(texts(data) == ["first", "second\n\nstill second"])
    #expect(data.sources[0].files == 3)
  }

  @Test func otherEncodingsAreNamed() throws {
    let utf16 = try scratch.file("a.jsonl", bytes: [0xFF, 0xFE, 0x7B, 0])
    #expect(complaint { _ = try Dataset.load([DataSource(path: utf16)]) }.contains("UTF-16"))
    let latin1 = try scratch.file("b.jsonl", bytes: Array("{\"text\":\"ok\"}\n{\"text\":\"caf".utf8) + [0xE9] + Array("\"}".utf8))
    #expect(
      scratch.relative(complaint { _ = try Dataset.load([DataSource(path: latin1)]) }).contains("b.jsonl:2: is not valid JSON"))
    let text = try scratch.file("c.txt", bytes: Array("a\nb".utf8) + [0xE9])
    #expect(scratch.relative(complaint { _ = try Dataset.load([DataSource(path: text)]) }).contains("c.txt:2: is not UTF-8"))
  }

  @Test func whatCannotBeOpenedIsNamed() throws {
    #expect(complaint { _ = try Dataset.load([DataSource(path: "/nowhere/x.jsonl")]) }.contains("no file “/nowhere/x.jsonl”"))
    let image = try scratch.file("x.png", "")
    #expect(complaint { _ = try Dataset.load([DataSource(path: image)]) }.contains(".jsonl"))
    #expect(complaint { _ = try scratch.load("empty.jsonl", "") }.contains("there are no rows"))
  }
}
