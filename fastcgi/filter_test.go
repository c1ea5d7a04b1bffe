package fastcgi

import (
	"testing"
	"time"

	"gatehouse/cgi"
)

func TestDataVariables(t *testing.T) {
	for _, c := range []struct {
		length, modified string
		wantLength       int64
		wantTime         time.Time
	}{
		{"12", "981173106", 12, time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)},
		{"0", "0", 0, time.Unix(0, 0)},
		{"", "", -1, time.Time{}},
		{"-1", "yesterday", -1, time.Time{}},
		{"99999999999999999999", "99999999999999999999", -1, time.Time{}},
	} {
		env := cgi.NewEnviron("FCGI_DATA_LENGTH="+c.length, "FCGI_DATA_LAST_MOD="+c.modified)
		if n, m := dataLength(env), DataModTime(env); n != c.wantLength || !m.Equal(c.wantTime) {
			t.Errorf("%q, %q: %d, %v", c.length, c.modified, n, m)
		}
	}
}
