package gatehouse

import (
	"gatehouse/cgi"
	"gatehouse/iis"
)

// InheritIIS takes over the named pipe with which IIS has started the process (see
// [iis.Listen]), and returns an endpoint for it. A Server serves it in the way of IIS: the
// variables and the path are those of an [iis.Handler], Limits.Idle does not apply, and
// nothing is sent on STDERR.
func InheritIIS() (Endpoint, error) {
	l, err := iis.Listen()
	if err != nil {
		return Endpoint{}, err
	}
	return Endpoint{Protocol: FastCGI, Listener: l, Once: l.Once()}, nil
}

// pipe returns the pipe of an endpoint from InheritIIS, or nil.
func (e Endpoint) pipe() *iis.Listener {
	l, _ := e.Listener.(*iis.Listener)
	return l
}

// shutdownOf returns a channel that is closed when IIS asks the process to end, or nil.
func shutdownOf(endpoints []Endpoint) <-chan struct{} {
	for _, e := range endpoints {
		if l := e.pipe(); l != nil {
			return l.Shutdown()
		}
	}
	return nil
}

// behindIIS puts an iis.Handler in front of a, unless the policy is that of another web
// server.
func behindIIS(a cgi.App, paths cgi.PathPolicy) cgi.App {
	h := &iis.Handler{App: a}
	switch paths {
	case cgi.PathAuto:
	case cgi.PathIIS:
		h.PathInfo = iis.Strip
	case cgi.PathKeep:
		h.PathInfo = iis.Keep
	default:
		return a
	}
	if _, own := a.(*iis.Handler); own {
		return a
	}
	return h
}
