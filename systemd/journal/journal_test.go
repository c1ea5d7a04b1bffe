package journal

import "testing"

var fieldTests = []struct{ name, value, want string }{
	{"MESSAGE", "text", "MESSAGE=text\n"},
	{"MESSAGE", "", "MESSAGE=\n"},
	{"MESSAGE", "a=b", "MESSAGE=a=b\n"},
	{"MESSAGE", "one\ntwo", "MESSAGE\n\x07\x00\x00\x00\x00\x00\x00\x00one\ntwo\n"},
	{"MESSAGE", "\xff\x00", "MESSAGE=\xff\x00\n"},
	{"lower_case", "x", "LOWER_CASE=x\n"},
	{"_PID", "1", "X_PID=1\n"},
	{"2nd", "x", "X2ND=x\n"},
	{"a b=c\nd", "x", "A_B_C_D=x\n"},
	{"é", "x", "X__=x\n"},
	{"", "x", "X=x\n"},
	{"0123456789012345678901234567890123456789012345678901234567890123456789", "x", "X012345678901234567890123456789012345678901234567890123456789012=x\n"},
}

// The native protocol: no name and no value can forge a field.
func TestAppendField(t *testing.T) {
	for _, tt := range fieldTests {
		if got := string(AppendField([]byte("A=b\n"), tt.name, []byte(tt.value))); got != "A=b\n"+tt.want {
			t.Errorf("%q, %q: %q; want %q", tt.name, tt.value, got, tt.want)
		}
	}
}
