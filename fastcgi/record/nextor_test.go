package record

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// TestNextOr: whatever is left in the source and taken from there, or not, the records are those
// of Next.
func TestNextOr(t *testing.T) {
	const least = 1000
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		var b []byte
		for range 1 + r.IntN(20) {
			content := make([]byte, []int{r.IntN(50), r.IntN(2 * least), r.IntN(MaxContent + 1)}[r.IntN(3)])
			for i := range content {
				content[i] = byte(r.Uint32())
			}
			padding := []int{0, r.IntN(maxPadding + 1)}[r.IntN(2)]
			b = AppendHeader(b, []Type{Stdout, Stdout, Stderr}[r.IntN(3)], uint16(1+r.IntN(5)/4), len(content), padding)
			b = append(append(b, content...), make([]byte, padding)...)
		}
		for name, source := range sources {
			plain := NewReader(bytes.NewReader(b))
			src := source(bytes.NewReader(b))
			sparing := NewReader(src)
			for {
				wantHeader, want, wantErr := plain.Next()
				h, content, left, err := sparing.NextOr(Stdout, 1, []int{least, least, least, 0}[r.IntN(4)])
				if err != wantErr {
					t.Fatalf("%s: error %v; want %v", name, err, wantErr)
				}
				if err != nil {
					break
				}
				if !bytes.Equal(h, wantHeader) || len(content)+left != len(want) || !bytes.HasPrefix(want, content) {
					t.Fatalf("%s: %v with %d bytes of content, and %d left; want %v with %d", name, h, len(content), left, wantHeader, len(want))
				}
				if left > 0 && (left < least || h.Type() != Stdout || h.ID() != 1) {
					t.Fatalf("%s: %d bytes of %v for id %d are left", name, left, h.Type(), h.ID())
				}
				if left == 0 {
					continue
				}
				taken := make([]byte, []int{0, left / 2, left}[r.IntN(3)])
				if _, err := io.ReadFull(src, taken); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(taken, want[len(content):len(content)+len(taken)]) {
					t.Fatalf("%s: other bytes are left", name)
				}
				sparing.Taken(len(taken))
			}
		}
	}
}

// TestNextOrReadsLittle: where large records follow each other, most of each is left, with a
// small one in between, too, and whatever the buffer was before.
func TestNextOrReadsLittle(t *testing.T) {
	large := AppendRecord(nil, Stdout, 1, make([]byte, MaxAligned))
	b := bytes.Join([][]byte{large, large, large, AppendRecord(nil, Stdout, 1, make([]byte, 8)), large}, nil)
	src := bytes.NewReader(b)
	r := NewReader(src)
	if _, _, err := r.Next(); err != nil { // the buffer is a large one now, and the next record in it
		t.Fatal(err)
	}
	for i, small := range []bool{false, false, true, false} {
		_, content, left, err := r.NextOr(Stdout, 1, 32<<10)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && len(content) > aheadBytes {
			t.Errorf("record %d: %d bytes of the content were read", i, len(content))
		}
		if small != (left == 0) {
			t.Errorf("record %d: %d bytes are left", i, left)
		}
		if _, err := src.Seek(int64(left), io.SeekCurrent); err != nil {
			t.Fatal(err)
		}
		r.Taken(left)
	}
	if _, _, _, err := r.NextOr(Stdout, 1, 32<<10); err != io.EOF {
		t.Errorf("behind the last: %v", err)
	}
}

// TestNextOrTruncated: what ends inside of a record that was left is no whole one.
func TestNextOrTruncated(t *testing.T) {
	b := AppendHeader(nil, Stdout, 1, 50_000, 7)
	b = append(b, make([]byte, 50_000+7)...)
	for _, cut := range []int{1, 7, 8, 20_000} {
		r := NewReader(bytes.NewReader(b[:len(b)-cut]))
		_, _, left, err := r.NextOr(Stdout, 1, 32<<10)
		if left == 0 || err != nil {
			t.Fatalf("%d bytes are left, %v", left, err)
		}
		if _, _, _, err := r.NextOr(Stdout, 1, 32<<10); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("without the last %d bytes: %v", cut, err)
		}
	}
}
