package spool

import (
	"io"
	"sync"
)

// Sizes of the pieces that memory grows by: a small one first, since most spools
// stay small.
const (
	firstPiece = 4 << 10
	nextPiece  = 32 << 10
)

var (
	firstPool = sync.Pool{New: func() any { return new([firstPiece]byte) }}
	nextPool  = sync.Pool{New: func() any { return new([nextPiece]byte) }}
)

// memory is a queue of bytes in pooled pieces. A piece goes back to its pool as
// soon as it has been read.
type memory struct {
	pieces [][]byte // each of its full length
	start  int      // first unread byte, in the first piece
	end    int      // end of the unread bytes, in the last piece
	size   int64    // unread bytes
	budget *Budget  // of the pieces
}

// reserve takes what the pieces need that write adds for n bytes, and reports whether it
// is there.
func (m *memory) reserve(n int) bool {
	var need int64
	if len(m.pieces) > 0 {
		n -= len(m.pieces[len(m.pieces)-1]) - m.end
	} else if n > 0 {
		need, n = firstPiece, n-firstPiece
	}
	if n > 0 {
		need += int64((n + nextPiece - 1) / nextPiece * nextPiece)
	}
	return need == 0 || m.budget.Reserve(need)
}

// write appends p, for which reserve has made room.
func (m *memory) write(p []byte) {
	m.size += int64(len(p))
	for len(p) > 0 {
		if len(m.pieces) == 0 {
			m.pieces, m.start, m.end = append(m.pieces, firstPool.Get().(*[firstPiece]byte)[:]), 0, 0
		} else if m.end == len(m.pieces[len(m.pieces)-1]) {
			m.pieces, m.end = append(m.pieces, nextPool.Get().(*[nextPiece]byte)[:]), 0
		}
		n := copy(m.pieces[len(m.pieces)-1][m.end:], p)
		m.end += n
		p = p[n:]
	}
}

// front returns the unread bytes of the first piece.
func (m *memory) front() []byte {
	if len(m.pieces) == 1 {
		return m.pieces[0][m.start:m.end]
	}
	return m.pieces[0][m.start:]
}

func (m *memory) read(p []byte) (n int) {
	for n < len(p) && m.size > 0 {
		k := copy(p[n:], m.front())
		n += k
		m.start += k
		m.size -= int64(k)
		if len(m.front()) == 0 {
			m.freePiece()
		}
	}
	return n
}

// writeTo writes all unread bytes to the beginning of w and keeps them.
func (m *memory) writeTo(w io.WriterAt) (end int64, err error) {
	for i, piece := range m.pieces {
		from, to := 0, len(piece)
		if i == 0 {
			from = m.start
		}
		if i == len(m.pieces)-1 {
			to = m.end
		}
		if _, err := w.WriteAt(piece[from:to], end); err != nil {
			return 0, err
		}
		end += int64(to - from)
	}
	return end, nil
}

// freePiece gives the first piece back.
func (m *memory) freePiece() {
	m.budget.Release(int64(len(m.pieces[0])))
	switch p := m.pieces[0]; len(p) {
	case firstPiece:
		firstPool.Put((*[firstPiece]byte)(p))
	case nextPiece:
		nextPool.Put((*[nextPiece]byte)(p))
	}
	m.pieces[0] = nil
	m.pieces = m.pieces[1:]
	m.start = 0
	if len(m.pieces) == 0 {
		m.pieces, m.end = nil, 0
	}
}

func (m *memory) reset() {
	for len(m.pieces) > 0 {
		m.freePiece()
	}
	m.size = 0
}
