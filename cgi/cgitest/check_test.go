package cgitest

import (
	"strings"
	"testing"
)

func TestCheckVariables(t *testing.T) {
	r := CaptureRequest{Vars: []CaptureVariable{
		{Name: "A", Known: true, Value: "1", Len: 1},
		{Name: "EMPTY", Known: true},
		{Name: "GONE", Absent: true, Len: -1},
		{Name: "ANY", Len: -1},
		{Name: "BIG", Len: 3},
	}}
	tests := []struct {
		name   string
		change map[string]string
		remove string
		want   string // "" if all is well
	}{
		{name: "as stated"},
		{name: "any value", change: map[string]string{"ANY": "y", "BIG": "zzz"}},
		{name: "other value", change: map[string]string{"A": "2"}, want: `"A" is "2", want "1"`},
		{name: "not empty", change: map[string]string{"EMPTY": "2"}, want: `"EMPTY" is "2"`},
		{name: "not absent", change: map[string]string{"GONE": ""}, want: `"GONE" is there`},
		{name: "other length", change: map[string]string{"BIG": "xx"}, want: `"BIG" has 2 bytes, want 3`},
		{name: "empty is not absent", remove: "EMPTY", want: `"EMPTY" is not there`},
		{name: "any is not absent", remove: "ANY", want: `"ANY" is not there`},
	}
	for _, tt := range tests {
		env := map[string]string{"A": "1", "EMPTY": "", "ANY": "x", "BIG": "xxx", "MORE": "m"}
		for k, v := range tt.change {
			env[k] = v
		}
		delete(env, tt.remove)
		err := r.CheckVariables(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		wantVerdict(t, tt.name, err, tt.want)
	}
}

func TestCheckPairs(t *testing.T) {
	r := CaptureRequest{
		Names:    4,
		At:       []CaptureName{{1, "A"}, {4, "C"}},
		Repeated: []CaptureRepeat{{"B", []string{"1", "2"}}},
	}
	tests := []struct {
		name  string
		pairs [][2]string
		want  string
	}{
		{"as stated", [][2]string{{"A", ""}, {"B", "1"}, {"B", "2"}, {"C", ""}}, ""},
		{"too few", [][2]string{{"A", ""}, {"B", "1"}, {"B", "2"}}, "3 pairs, want 4"},
		{"no place", [][2]string{{"A", ""}, {"B", "1"}, {"B", "2"}}, `pair 4 is not there, want "C"`},
		{"other place", [][2]string{{"D", ""}, {"B", "1"}, {"B", "2"}, {"C", ""}}, `pair 1 is "D", want "A"`},
		{"other order", [][2]string{{"A", ""}, {"B", "2"}, {"B", "1"}, {"C", ""}}, `"B" has the values ["2" "1"]`},
		{"not repeated", [][2]string{{"A", ""}, {"B", "1"}, {"D", ""}, {"C", ""}}, `"B" has the values ["1"]`},
		{"repeated", [][2]string{{"A", ""}, {"B", "1"}, {"B", "2"}, {"A", "x"}}, `"A" is repeated with ["" "x"]`},
	}
	for _, tt := range tests {
		wantVerdict(t, tt.name, r.CheckPairs(tt.pairs), tt.want)
	}
}

func TestCheckBody(t *testing.T) {
	stated := CaptureRequest{Body: []byte("abc"), BodyLen: 3}
	digest := CaptureRequest{BodyLen: 3, BodySHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
	for _, r := range []CaptureRequest{stated, digest} {
		wantVerdict(t, "same", r.CheckBody([]byte("abc")), "")
		wantVerdict(t, "short", r.CheckBody([]byte("ab")), "body of 2 bytes, want 3")
	}
	wantVerdict(t, "other", stated.CheckBody([]byte("abd")), `body "abd", want "abc"`)
	wantVerdict(t, "other", digest.CheckBody([]byte("abd")), "SHA-256")
}

func wantVerdict(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want %q in it", name, err, want)
	}
}
