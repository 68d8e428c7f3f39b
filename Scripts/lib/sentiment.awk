# Splits movie review snippets into instruction data. Input: id, mean rating, text, separated by tabs, in the order in which rows
# are dealt out; `folder` is where train.jsonl, test.jsonl and examples.jsonl go. Run with LC_ALL=C: text is bytes, UTF-8 stays.
#
# Of each label the first 2 rows with a rating of 2 or more either way become examples (labels alternate), the next 200 the
# test set and the next 1,000 the training set. A rating of 0 is left out, and so is a text seen before (letters and digits
# alone are compared).

BEGIN {
  examples = 2; tests = 200; trains = 1000; clear = 2
  question = "Is this movie review snippet positive or negative? Answer with one word.\\n\\n"
  for (i = 1; i < 32; i++) escapes[sprintf("%c", i)] = sprintf("\\u%04x", i)
  escapes["\""] = "\\\""
  escapes["\\"] = "\\\\"
}

{
  sub(/\r$/, "")
  label = $2 > 0 ? "positive" : "negative"
  strength = $2 > 0 ? $2 : -$2
  same = tolower($3)
  gsub(/[^a-z0-9\200-\377]/, "", same)
}

strength == 0 || same in seen { next }
{ seen[same] }

strength >= clear && dealt[label, "examples"] < examples && label != last { last = label; deal("examples"); next }
dealt[label, "test"] < tests { deal("test"); next }
dealt[label, "train"] < trains { deal("train") }

# awk's own counts must come out, or the input was not the file this was written for.
END {
  for (l = 0; l < 2; l++) {
    label = l ? "positive" : "negative"
    if (dealt[label, "examples"] != examples || dealt[label, "test"] != tests || dealt[label, "train"] != trains) exit 1
  }
}

function deal(part) {
  dealt[label, part]++
  printf "{\"messages\":[{\"role\":\"user\",\"content\":\"%s%s\"},{\"role\":\"assistant\",\"content\":\"%s\"}]}\n", \
    question, escaped($3), label > (folder "/" part ".jsonl")
}

# escaped TEXT: as it stands between the quotes of a JSON string.
function escaped(text,    i, c, out) {
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    out = out (c in escapes ? escapes[c] : c)
  }
  return out
}
