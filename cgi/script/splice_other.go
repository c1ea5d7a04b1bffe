//go:build !linux

package script

import (
	"net/http"

	"gatehouse/cgi"
)

// spliceMin is larger than anything: nothing is moved here without a copy.
const spliceMin = 1 << 62

func (p *outPipe) readOr(b []byte, least int) (n, ready int, err error) {
	n, err = p.read(b)
	return n, 0, err
}

func (p *outPipe) send(cgi.ResponseWriter, int) (int, error) { return 0, http.ErrNotSupported }

func enlarge(int)          {}
func hasRoom(uintptr) bool { return true }
