package cgi

import (
	"net/http"
	"strings"
)

// sniffBytes is how much of a body http.DetectContentType looks at.
const sniffBytes = 512

// A typeGuess is a Content-Type that was guessed from the first Write, and is guessed again
// from what is held when the head leaves: an application may write its first line in parts.
type typeGuess struct {
	value string // "" if there is nothing to guess
	from  int    // bytes that it was guessed from
}

// guessContentType marks the Content-Type of the head, which was guessed from the first
// bytes of the body, as one that later bytes may change.
func (w *response) guessContentType(g typeGuess) {
	if g.from < sniffBytes {
		w.guess = g
	}
}

// guessContentType is the same under the lock.
func (w *timedWriter) guessContentType(g typeGuess) {
	_ = w.withLock(func(r *response) error {
		r.guessContentType(g)
		return nil
	})
}

// holdSample holds what the guess needs of a body that is not sent.
func (w *response) holdSample(p []byte) {
	if w.guess.value != "" && !w.headSent {
		w.buffered = append(w.buffered, p[:min(len(p), max(0, sniffBytes-len(w.buffered)))]...)
	}
}

// completeGuess guesses the Content-Type from what is held and p, which follows it: the head
// is about to leave. One that something in between has changed, or a body that was encoded,
// is left alone.
func (w *response) completeGuess(p []byte) {
	g := w.guess
	w.guess = typeGuess{}
	if g.value == "" || len(w.buffered)+len(p) <= g.from {
		return
	}
	sample := w.buffered
	if len(sample) < sniffBytes && len(p) > 0 {
		var both [sniffBytes]byte
		n := copy(both[:], sample)
		sample = both[:n+copy(both[n:], p)]
	}
	at := -1
	for i := range w.head.Fields {
		switch f := &w.head.Fields[i]; {
		case strings.EqualFold(f.Name, "Content-Encoding"):
			return
		case strings.EqualFold(f.Name, "Content-Type") && f.Value == g.value:
			at = i
		}
	}
	if at >= 0 {
		w.head.Fields[at].Value = http.DetectContentType(sample)
	}
}
