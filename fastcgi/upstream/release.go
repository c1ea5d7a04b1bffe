package upstream

import (
	"gatehouse/cgi"
	"gatehouse/internal/backend"
)

// Interrupt implements backend.Ahead.
func (p *passage) Interrupt(err error) { p.sent.Interrupt(err) }

// Release implements backend.Ahead. It does nothing the second time.
func (p *passage) Release(ended bool) {
	if p.left {
		return
	}
	if ended {
		p.takeFile()
	}
	p.sent.Close()
	p.body.Free()
	p.stderr.request.SetWorker(nil)
	if ended && p.request.KeepConn && p.conn.Err() == nil && p.sent.Sent() {
		p.turn.Keep(p.conn)
	}
	p.leave()
}

// leave ends the turn.
func (p *passage) leave() {
	if !p.left {
		p.left = true
		p.turn.Leave()
	}
}

// takeFile takes the file that the application has passed on, before the response is closed.
func (p *passage) takeFile() {
	if p.file == nil {
		p.file = p.sent.File()
	}
}

// closeFile closes it.
func (p *passage) closeFile() {
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

// sendFile sends the file as the rest of the response. The application is free meanwhile, as long
// as there are descriptors.
func (p *passage) sendFile(w cgi.ResponseWriter) error {
	if files := p.output.Files(); files.ReserveFiles(backend.FileDescriptors) {
		defer files.ReleaseFiles(backend.FileDescriptors)
		p.Release(true)
	}
	err := p.output.Complete()
	if err == nil {
		err = p.output.CheckFile(p.file.File)
	}
	if err == nil {
		err = p.output.SendFile(w, p.file.File, p.file.Offset, p.file.Length)
	}
	p.Release(true)
	return err
}
