package process

import (
	"io"
	"testing"
)

func TestParseStat(t *testing.T) {
	for text, want := range map[string]stat{
		"12 (a) b) (c) S 3 4 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n": {'S', 3, 4, 4194560, 100},
		"12 (x) Z 1 12 5 0 -1 4194560 1 2 3 4 0 0 0 0 20\n":                       {'Z', 1, 12, 4194560, 0},
	} {
		if st, err := parseStat([]byte(text)); err != nil || st != want {
			t.Errorf("%q: %+v, %v; want %+v", text, st, err, want)
		}
	}
	for _, text := range []string{"", ")", "12 (x) S 1", "12 (x) S a 4 5 0 -1 4194560 1 2 3 4 0 0 0 0 20",
		"12 (x) S 1 4 5 0 -1 x 1 2 3 4 0 0 0 0 20"} {
		if st, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, st)
		}
	}
}

func TestStatExiting(t *testing.T) {
	for _, c := range []struct {
		st             stat
		exiting, known bool
	}{
		{stat{state: 'S', flags: 4194560}, false, true},
		{stat{state: 'R', flags: 4194564}, true, true},
		{stat{state: 'Z', flags: 4194564}, true, true},
		{stat{state: 'Z'}, true, true},
		{stat{state: 'S'}, false, false}, // a system that tells no flags
	} {
		if exiting, known := c.st.exiting(); exiting != c.exiting || known != c.known {
			t.Errorf("%+v: %v, known %v; want %v, %v", c.st, exiting, known, c.exiting, c.known)
		}
	}
}

// TestExiting: a program that has closed its stdout and goes on is told from one that
// has closed it by ending.
func TestExiting(t *testing.T) {
	l := newLauncher(t, Rules{}, nil)
	for text, want := range map[string]bool{
		"exec >&- 2>&-; read x":             false,
		"exit 3":                            true,
		"kill -9 $$":                        true,
		"exec >&- 2>&-; read x; kill -9 $$": false,
	} {
		p := startShell(t, l, "", text)
		if _, err := p.Stdout.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
		if exiting, known := p.Exiting(); exiting != want || !known {
			t.Errorf("%s: %v, known %v; want %v", text, exiting, known, want)
		}
		p.Stdin.Close()
		p.Wait()
		if exiting, known := p.Exiting(); !exiting || !known {
			t.Errorf("%s: %v, known %v after its end", text, exiting, known)
		}
		p.closePipes()
	}
}
