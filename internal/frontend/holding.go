package frontend

import (
	"fmt"
	"net/http"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/spool"
)

const (
	// FreeMemory is what a connection may hold that its Holding does not count. It suffices
	// for a usual request, so that those need nothing from a budget that all connections
	// share, and are served though others have taken all of it.
	FreeMemory = 128 << 10

	// FreeParams is how many bytes of variables are part of FreeMemory.
	FreeParams = 32 << 10

	// holdingStep is how much is taken from the budget at a time.
	holdingStep = 32 << 10

	// ScarceHead is how long the variables of a request may take to arrive where memory is
	// scarce.
	ScarceHead = time.Second
)

// A Holding is what a connection holds in memory for its requests. What goes beyond
// FreeMemory is taken from the budget of all connections. It is not safe for concurrent
// use.
type Holding struct {
	Budget *spool.Budget

	held  int64
	taken int64 // from the budget
}

// Grow adds n bytes, or nothing, and reports false, if the budget does not have them.
func (h *Holding) Grow(n int64) bool {
	if more := h.held + n - FreeMemory - h.taken; more > 0 {
		more = (more + holdingStep - 1) / holdingStep * holdingStep
		if !h.Budget.Reserve(more) {
			return false
		}
		h.taken += more
	}
	h.held += n
	return true
}

// Shrink takes n bytes off.
func (h *Holding) Shrink(n int64) {
	h.held -= n
	if h.taken == 0 {
		return
	}
	need := max(0, h.held-FreeMemory+holdingStep-1) / holdingStep * holdingStep
	if need < h.taken {
		h.Budget.Release(h.taken - need)
		h.taken = need
	}
}

// Close gives back all.
func (h *Holding) Close() { h.Shrink(h.held) }

// Refusal returns the error for a request that the holding cannot grow for.
func (h *Holding) Refusal() *cgi.StatusError {
	return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: 10 * time.Second,
		Err: fmt.Errorf("the variables of all requests hold %d bytes together (params_total)", h.Budget.Max()), Check: "params_total"}
}

// Scarce reports whether the connection has a part in the budget being scarce.
func (h *Holding) Scarce() bool { return h.taken > 0 && h.Budget.Scarce() }
