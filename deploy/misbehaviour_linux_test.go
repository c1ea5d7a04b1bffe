package deploy_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// bytes of the answers below that are no number.
const (
	ownPage = -1 // the gateway's own page, which tells the status
	some    = -2 // at least one
)

// A misbehaviour is what a program of testdata/hostile does, and what becomes of it.
type misbehaviour struct {
	does    string // for the table in docs/cgi.md
	program string
	keys    string // of the configuration file
	limit   limit  // which it meets
	post    int    // bytes of the request's body
	chunked bool   // whose length is not known
	cut     int    // bytes of it that never come
	direct  bool   // only over FastCGI: it takes long, or nginx has the whole body before it asks

	at    int64 // when so much of the answer has come …
	goOn  bool  // … the program may go on
	leave bool  // … the client leaves

	status int
	bytes  int64
	end    outcome // whole if left out
	log    string  // in the log line; if it is "", the limit, or there is none
	silent bool    // or there is none: nginx closes the connection once it has the whole body
	left   string  // what the program has left on purpose, until the test lets it go on
}

// A limit is a key of the configuration file for the time of a program, and its value.
type limit struct {
	key   string
	after time.Duration
}

var (
	firstByte = limit{"first_byte", 300 * time.Millisecond}
	silence   = limit{"silence", time.Second}
	longest   = limit{"run", time.Second}
)

// misbehaviours are all of them, in the order of the table.
var misbehaviours = slices.Concat(bodyMisbehaviours, endlessMisbehaviours, childMisbehaviours, answerMisbehaviours)

// These are about the request's body.
var bodyMisbehaviours = []misbehaviour{
	{does: "writes a large response before it reads its body", program: "writes-first", post: 1_000_000, status: 200, bytes: 1_000_013},
	{does: "never reads its body", program: "never-reads", post: 1_000_000, status: 200, bytes: 5},
	{does: "closes its stdin before it has its body", program: "closes-stdin", post: 1_000_000, status: 200, bytes: 5},
	{does: "neither reads nor responds", program: "never-answers", limit: silence, post: 1_000_000, status: 504, bytes: ownPage},
	{does: "reads its body byte by byte", program: "sips", limit: longest, post: 1_000_000, status: 504, bytes: ownPage},
	{does: "gets a body that is cut short", program: "reads-all", post: 1_000_000, cut: 500_000, direct: true, leave: true, end: left},
	{does: "gets a body too large for the disk of spool_dir", program: "reads-all", keys: "spool_memory = \"64KiB\"\n", post: 3_000_000, chunked: true, direct: true, status: 503, bytes: ownPage, log: "no space left on device (spool_dir)"},
}

// These end late, or never.
var endlessMisbehaviours = []misbehaviour{
	{does: "never responds", program: "never-answers", limit: firstByte, status: 504, bytes: ownPage},
	{does: "begins a response and never finishes", program: "stalls", limit: silence, status: 200, bytes: 5, end: broken},
	{does: "the same, and the client leaves", program: "stalls", at: 5, leave: true, status: 200, bytes: 5, end: left},
	{does: "writes forever", program: "endless", limit: longest, status: 200, bytes: some, end: broken},
	{does: "the same, and the client leaves", program: "endless", at: 1_000_000, leave: true, status: 200, bytes: some, end: left},
	{does: "writes a byte now and then, forever", program: "drips", limit: longest, status: 200, bytes: some, end: broken},
	{does: "pauses between head and body", program: "pauses", goOn: true, status: 200, bytes: 5},
	{does: "ignores TERM, as does its child", program: "ignores-term", limit: firstByte, status: 504, bytes: ownPage},
	{does: "stops itself (SIGSTOP)", program: "stops", limit: firstByte, status: 504, bytes: ownPage},
	{does: "moves to the gateway's process group", program: "joins-group", limit: firstByte, status: 504, bytes: ownPage},
	{does: "has a child in a session of its own and never responds", program: "new-session", limit: firstByte, status: 504, bytes: ownPage},
	{does: "forks without end (up to RLIMIT_NPROC)", program: "bomb", limit: longest, status: 504, bytes: ownPage},
}

// These leave processes behind, or run on.
var childMisbehaviours = []misbehaviour{
	{does: "leaves a child behind that keeps the pipes open", program: "daemon", status: 200, bytes: 5, left: "the child"},
	{does: "leaves a daemon behind (double fork) that keeps the pipes open", program: "double-fork", status: 200, bytes: 5, left: "the daemon"},
	{does: "does not wait for its children", program: "zombies", status: 200, bytes: 5},
	{does: "closes its stdout after the response and keeps running", program: "closes-stdout", limit: limit{"silence", 2 * time.Second}, status: 200, bytes: 5},
	{does: "closes its stdout before the response and keeps running", program: "closes-stdout-first", status: 502, bytes: ownPage, log: "it has closed its stdout and keeps running"},
}

// These answer wrongly, or cannot be run.
var answerMisbehaviours = []misbehaviour{
	{does: "writes 1 GiB to stderr", program: "floods-stderr", direct: true, status: 200, bytes: 5, log: "program stderr suppressed"},
	{does: "exits with status 0 and no response", program: "says-nothing", status: 502, bytes: ownPage, log: "exit status 0"},
	{does: "has no head", program: "no-head", status: 502, bytes: ownPage, log: "bad head"},
	{does: "exits in the middle of its head", program: "half-head", status: 502, bytes: ownPage, log: "the output ended before the empty line that ends a head"},
	{does: "has a head of 10 MB", program: "huge-head", status: 502, bytes: ownPage, log: "head is longer than head_bytes"},
	{does: "has a NUL in its head", program: "nul-head", status: 502, bytes: ownPage, log: "control character 0x00"},
	{does: "has NULs in its body", program: "nul-body", status: 200, bytes: 6},
	{does: "crashes before its response", program: "crashes-first", status: 502, bytes: ownPage, log: "ended by signal: segmentation fault"},
	{does: "crashes in the middle of its response", program: "crashes", at: 5, goOn: true, status: 200, bytes: 5, end: broken, log: "ended by signal: segmentation fault"},
	{does: "kills its whole process group in the middle of its response", program: "kills-all", at: 5, goOn: true, status: 200, bytes: 5, end: broken, log: "ended by signal: killed"},
	{does: "exits with status 3 after its response", program: "status-3", status: 200, bytes: 5, log: "program ended with a status"},
	{does: "sends less than its Content-Length", program: "too-short", at: 5, goOn: true, status: 200, bytes: 5, end: broken, log: "body does not have the declared Content-Length"},
	{does: "sends more than its Content-Length", program: "too-long", status: 200, bytes: 5, log: "body does not have the declared Content-Length"},
	{does: "sends more than its Content-Length, forever", program: "far-too-long", status: 200, bytes: 5, log: "body does not have the declared Content-Length", silent: true},

	{does: "replaces itself with another program (exec)", program: "becomes", status: 200, bytes: 5},
	{does: "removes its directory", program: "own/dir/removes-itself", status: 200, bytes: 5},
	{does: "has an interpreter that does not exist", program: "no-interpreter", status: 502, bytes: ownPage, log: "its interpreter "},
	{does: "has CR LF after its interpreter", program: "cr-lf", status: 502, bytes: ownPage, log: "its first line ends in CR LF"},
}

// TestMisbehaviourIsDocumented: the table of docs/cgi.md is that of the tests.
func TestMisbehaviourIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/cgi.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, m := range misbehaviours {
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", m.does, m.sees(), m.gets(), m.logs(), cmp.Or(m.left, "–"))
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/cgi.md lacks these lines:\n%s", &table)
	}
}

// sees is the client's status in the table.
func (m misbehaviour) sees() string {
	if m.status == 0 {
		return "–"
	}
	return fmt.Sprint(m.status)
}

// gets is what the client gets, in the table.
func (m misbehaviour) gets() string {
	switch {
	case m.status == 0:
		return "it has left"
	case m.bytes == ownPage:
		return "a page"
	case m.end == left:
		return "the response until it leaves"
	case m.end == broken:
		return "the response so far, truncated"
	case strings.HasPrefix(m.does, "sends more"):
		return "as much as declared"
	}
	return "the whole response"
}

// logs is the log line, in the table.
func (m misbehaviour) logs() string {
	if m.says() == "" {
		return "–"
	}
	return "`" + m.says() + "`"
}

// says is what the log line holds, or "" if there is none.
func (m misbehaviour) says() string {
	if m.limit.key == "" {
		return m.log
	}
	return fmt.Sprintf("%s of %v is over", m.limit.key, m.limit.after)
}

// size is the bytes as the table has them.
func (m misbehaviour) size() string {
	switch m.bytes {
	case ownPage:
		return "a page"
	case some:
		return "some"
	}
	return fmt.Sprint(m.bytes)
}
