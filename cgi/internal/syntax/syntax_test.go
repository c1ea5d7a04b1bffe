package syntax

import (
	"bytes"
	"testing"
)

// ControlAt looks at eight bytes at once, so each byte is tried at each place.
func TestControlAt(t *testing.T) {
	for n := 1; n < 20; n++ {
		for at := range n {
			for c := range 256 {
				for _, fill := range []byte{' ', '~', 0x80, 0xff, '\t'} {
					b := bytes.Repeat([]byte{fill}, n)
					b[at] = byte(c)
					want := -1
					if c < 0x20 && c != '\t' || c == 0x7f {
						want = at
					}
					if got := ControlAt(string(b)); got != want {
						t.Fatalf("%q: got %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}
