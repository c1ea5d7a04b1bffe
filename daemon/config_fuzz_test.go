package daemon

import "testing"

// FuzzParseConfig holds that whatever is in a file it gives a configuration or an
// error, and never both.
func FuzzParseConfig(f *testing.F) {
	for _, s := range []string{
		"", "fastcgi = [\"unix:/s\"]\n", "[[app]]\nhello = true\n[app.env]\nA = \"b\"\n",
		"a.b.c = { d = 1, e.f = [{}] }\n[[x.y]]\n[x.y.z]\n", "idle = \"1s\"\nidel = 1\n", "x = 1979-05-27\n\"\" = 1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("f", data)
		if (c == nil) == (err == nil) {
			t.Errorf("%q: got %+v, %v", data, c, err)
		}
	})
}
