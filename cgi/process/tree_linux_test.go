package process

import "testing"

func TestParseStat(t *testing.T) {
	for text, want := range map[string]stat{
		"12 (a) b) (c) S 3 4 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n": {'S', 3, 4, 100},
		"12 (x) Z 1 12 5 0 -1 4194560 1 2 3 4 0 0 0 0 20\n":                       {'Z', 1, 12, 0},
	} {
		if st, err := parseStat([]byte(text)); err != nil || st != want {
			t.Errorf("%q: %+v, %v; want %+v", text, st, err, want)
		}
	}
	for _, text := range []string{"", ")", "12 (x) S 1", "12 (x) S a 4 5 0 -1 4194560 1 2 3 4 0 0 0 0 20"} {
		if st, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, st)
		}
	}
}
