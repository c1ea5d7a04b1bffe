// Package iishost starts a FastCGI application as the FastCGI module of IIS does, on Windows:
// with the server end of a named pipe as standard input, to which this process is connected,
// without standard output and error, and with an event that tells it to end. It is what
// "gatehouse request --iis" and the tests of package iis stand on.
//
//	a, err := iishost.Start(iishost.Command{Path: `C:\sites\app.exe`})
//	if err != nil {
//		return err
//	}
//	defer a.Close()
//	c := client.New(a.Conn())
package iishost

// A Command is a program to start.
type Command struct {
	Path      string   // of the executable
	Arguments string   // the rest of its command line
	Env       []string // "NAME=value"; nil is that of this process
	Dir       string   // its working directory; empty is that of this process

	// NoEvent starts it without an event that tells it to end, as IIS does by default
	// (signalBeforeTerminateSeconds="0").
	NoEvent bool

	// NoName leaves out the name of the pipe (_FCGI_X_PIPE_), so that only the lack of
	// standard output and error tells the program that this is no pipe of a shell.
	NoName bool

	// Mutex starts it as a process manager does that connects again and again: see
	// Application.Dial.
	Mutex bool
}
