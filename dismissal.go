package gatehouse

import (
	"errors"
	"net/http"
	"sync"

	"gatehouse/iis"
)

// A dismissal tells a Server that IIS asks it to end.
type dismissal struct {
	once  sync.Once
	asked chan struct{} // closed when IIS has asked
}

func newDismissal() *dismissal { return &dismissal{asked: make(chan struct{})} }

// admit returns a request that came through IIS, as an application is to see it. It responds
// to others itself, and then returns nil.
func (s *httpServer) admit(w http.ResponseWriter, r *http.Request) *http.Request {
	admitted, err := s.module.Admit(r)
	switch {
	case err == nil:
		return admitted
	case errors.Is(err, iis.ErrShutdown):
		s.dismiss.once.Do(func() {
			s.acceptor.Log.Info("draining: IIS asks for it")
			close(s.dismiss.asked)
		})
		w.WriteHeader(http.StatusAccepted)
	default:
		s.acceptor.Warn("request refused", "error", err.Error(), "peer", r.RemoteAddr)
		w.Header().Set("Connection", "close") // its body is not read
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
	}
	return nil
}
