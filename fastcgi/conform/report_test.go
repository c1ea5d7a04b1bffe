package conform

import (
	"bytes"
	"testing"
)

var report = func() *Report {
	r := &Report{Address: "unix:/run/app.sock"}
	r.add(Result{"F1a", "3.3", "padding is skipped", Pass, "status 200"})
	r.add(Result{"P3", "", "the first record is not empty <nginx>", Fail, `it is "\x1b"`})
	r.add(Result{"C3", "RFC 3875 § 4.3.3", "no body", NotApplicable, ""})
	return r
}()

const golden = `{
  "address": "unix:/run/app.sock",
  "passed": 1,
  "failed": 1,
  "not_applicable": 1,
  "results": [
    {
      "id": "F1a",
      "section": "3.3",
      "clause": "padding is skipped",
      "outcome": "pass",
      "seen": "status 200"
    },
    {
      "id": "P3",
      "section": "",
      "clause": "the first record is not empty <nginx>",
      "outcome": "fail",
      "seen": "it is \"\\x1b\""
    },
    {
      "id": "C3",
      "section": "RFC 3875 § 4.3.3",
      "clause": "no body",
      "outcome": "not applicable",
      "seen": ""
    }
  ]
}
`

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != golden {
		t.Errorf("got %s", got)
	}
}

func TestTable(t *testing.T) {
	const want = `pass  F1a   padding is skipped (§ 3.3)
            status 200
FAIL  P3    the first record is not empty <nginx>
            it is "\x1b"
n/a   C3    no body (RFC 3875 § 4.3.3)

unix:/run/app.sock: 1 pass, 1 fail, 1 not applicable
`
	var b bytes.Buffer
	report.WriteTable(&b, false)
	if got := b.String(); got != want {
		t.Errorf("got\n%s", got)
	}
	b.Reset()
	report.WriteTable(&b, true)
	for _, c := range []string{green + "pass" + plain, red + "FAIL" + plain, grey + "n/a " + plain} {
		if !bytes.Contains(b.Bytes(), []byte(c)) {
			t.Errorf("no %q in %q", c, b.String())
		}
	}
}
