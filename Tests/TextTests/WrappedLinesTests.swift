import Testing
import Text

@Suite struct WrappedLinesTests {
  @Test(arguments: [
    ("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("🙂", 2), ("👩‍👩‍👧", 2), ("🇩🇪", 2), ("❤️", 2), ("❤", 1), ("ﾊﾛｰ", 3), ("한국", 4),
    ("a\u{200B}b", 2), ("", 0),
  ])
  func width(_ text: String, _ columns: Int) { #expect(text.displayWidth == columns) }

  @Test func wordsStayWhole() {
    #expect("the quick brown fox".wrapped(to: 10) == ["the quick", "brown fox"])
    #expect("the quick brown fox".wrapped(to: 9) == ["the quick", "brown fox"])
    #expect("the quick brown fox".wrapped(to: 8) == ["the", "quick", "brown", "fox"])
  }

  @Test func longWordsAreCut() {
    #expect("abcdefgh ij".wrapped(to: 3) == ["abc", "def", "gh", "ij"])
    #expect("日本語".wrapped(to: 5) == ["日本", "語"])
    #expect("日本".wrapped(to: 1) == ["日", "本"])
  }

  @Test func linesAndIndentsStay() {
    #expect("a\n\n  b c".wrapped(to: 4) == ["a", "", "  b", "  c"])
    #expect("one\r\ntwo".wrapped(to: 9) == ["one", "two"])
    #expect("        deep code".wrapped(to: 6) == ["deep", "code"])
  }

  @Test(arguments: 1...12) func noLineIsWiderThanAsked(_ columns: Int) {
    let text = "Ein Satz mit Wörtern,\n    eingerückt und 漢字 dazwischen, außerdem Donaudampfschifffahrtsgesellschaft 🙂."
    for line in text.wrapped(to: columns) where line.displayWidth > columns { #expect(line.count == 1) }
    let letters = { (text: String) in text.filter { $0 != " " && $0 != "\n" } }
    #expect(letters(text.wrapped(to: columns).joined()) == letters(text))
  }

  @Test func answersCannotDriveTheTerminal() {
    #expect("a\u{1B}[2Jb\u{7}\tc".printable == "a␛[2Jb␇    c")
    #expect("x\u{9B}31m\u{202E}y".printable == "x\u{FFFD}31m\u{FFFD}y")
  }
}
