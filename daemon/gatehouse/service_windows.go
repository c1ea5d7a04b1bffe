package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"gatehouse/daemon"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	// stopWait is how long uninstall waits until the service has stopped.
	stopWait = 2 * time.Minute
	// stopPoll is between looks at a service that stops, and between its reports.
	stopPoll = 500 * time.Millisecond
	// reportWait is within which the service manager expects the next report of a service
	// that starts or stops.
	reportWait = 30 * time.Second
)

// eventID is that of all events. EventCreate.exe has a text for those from 1 to 1000.
const eventID = 1

func changeDirectory(dir string) error { return os.Chdir(dir) }

// serveService does what c asks for.
func (p *process) serveService(ctx context.Context, c *serviceCall) int {
	var err error
	done := ""
	switch c.action {
	case "install":
		err = c.install()
		done = fmt.Sprintf("service %s installed; start it: sc start %[1]s\n", c.name)
	case "uninstall":
		err = c.uninstall()
		done = fmt.Sprintf("service %s removed\n", c.name)
	default:
		return p.runService(ctx, c)
	}
	if err != nil {
		return p.fail(fmt.Errorf("service %s: %w", c.name, err))
	}
	return p.print(done)
}

// connect connects to the service manager.
func connect() (*mgr.Mgr, error) {
	m, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		err = errors.New("access denied: run this command as an administrator")
	}
	return m, err
}

// install makes the service, once its configuration has been checked.
func (c *serviceCall) install() error {
	complete := c.config.Defaults()
	if err := complete.Check(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"service", "run"}, c.args...)
	if c.directory == "" {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		args = append(args, "--directory", dir)
	}
	file, err := c.logFile()
	if err != nil {
		return err
	}
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	account := c.account
	if account == "" {
		account = `NT SERVICE\` + c.name
	}
	s, err := m.CreateService(c.name, program, mgr.Config{
		DisplayName: "Gatehouse (" + c.name + ")",
		Description: "Connects web servers to CGI, FastCGI and SCGI applications. Log: " + file,
		StartType:   mgr.StartAutomatic, ServiceStartName: account}, args...)
	switch {
	case errors.Is(err, windows.ERROR_SERVICE_EXISTS):
		return errors.New("there is one of this name: remove it (gatehouse service uninstall), or write another --name")
	case errors.Is(err, windows.ERROR_INVALID_SERVICE_ACCOUNT):
		return fmt.Errorf("there is no account %q, or it needs a password: write another --account", account)
	case err != nil:
		return err
	}
	defer s.Close()
	restart := func(d time.Duration) mgr.RecoveryAction {
		return mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: d}
	}
	const day = 24 * 60 * 60 // after which the first failure is the first again
	err = errors.Join(
		known(s.SetRecoveryActions([]mgr.RecoveryAction{restart(5 * time.Second), restart(30 * time.Second), restart(time.Minute)}, day)),
		known(s.SetRecoveryActionsOnNonCrashFailures(true)),
		eventlog.InstallAsEventCreate(c.name, eventlog.Error|eventlog.Warning|eventlog.Info))
	if err != nil {
		return errors.Join(err, s.Delete(), removeEvents(c.name))
	}
	return nil
}

// known returns err, unless it is that the system, which may be wine, knows no such setting.
func known(err error) error {
	if errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return nil
	}
	return err
}

// uninstall stops and removes the service.
func (c *serviceCall) uninstall() error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.OpenService(c.name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return errors.New("there is none of this name: write its --name")
	}
	if err != nil {
		return err
	}
	defer s.Close()
	status, err := s.Control(svc.Stop)
	if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		status, err = svc.Status{State: svc.Stopped}, nil
	}
	for end := time.Now().Add(stopWait); err == nil && status.State != svc.Stopped; status, err = s.Query() {
		if time.Now().After(end) {
			return fmt.Errorf("it has not stopped within %v: stop it, and try again", stopWait)
		}
		time.Sleep(stopPoll)
	}
	return errors.Join(err, s.Delete(), removeEvents(c.name))
}

// removeEvents removes the source of the events, if it is there.
func removeEvents(name string) error {
	err := eventlog.Remove(name)
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return nil
	}
	return err
}

// logFile returns the path of the log, whose directory it makes if it is the usual one.
func (c *serviceCall) logFile() (string, error) {
	if c.log != "" {
		return filepath.Abs(c.log)
	}
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		return "", fmt.Errorf("the directory of the log: %w: write --log", err)
	}
	dir := filepath.Join(data, "gatehouse")
	return filepath.Join(dir, c.name+".log"), os.MkdirAll(dir, 0o755)
}

// runService is the service.
func (p *process) runService(ctx context.Context, c *serviceCall) int {
	path, err := c.logFile()
	if err != nil {
		return p.fail(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return p.fail(fmt.Errorf("--log: %w", err))
	}
	defer file.Close()
	if err := debug.SetCrashOutput(file, debug.CrashOptions{}); err != nil {
		return p.fail(err)
	}
	log := daemon.NewLogWriter(file)
	defer log.Flush()
	s := &service{process: *p, call: c}
	s.stdout, s.stderr = log, log
	s.events, _ = eventlog.Open(c.name) // which is only beside the log
	if s.events != nil {
		defer s.events.Close()
	}
	s.ctx = ctx
	err = svc.Run(c.name, s)
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return p.fail(errors.New("service run is for Windows itself: say gatehouse serve, or gatehouse service install"))
	}
	if err != nil {
		return s.fail(err)
	}
	return s.status
}

// A service is what the service manager starts.
type service struct {
	process
	call   *serviceCall
	ctx    context.Context
	events *eventlog.Log // or nil
	status int
}

// Execute implements svc.Handler.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, reports chan<- svc.Status) (specific bool, code uint32) {
	s.status = s.serve(requests, reports)
	return s.status != 0, uint32(s.status)
}

// serve serves until the service manager asks for the end, and returns the exit status.
func (s *service) serve(requests <-chan svc.ChangeRequest, reports chan<- svc.Status) int {
	wait := uint32(reportWait.Milliseconds())
	reports <- svc.Status{State: svc.StartPending, WaitHint: wait}
	env := s.environment(func() (*daemon.Config, error) {
		c, _, err := parseService(append([]string{"run"}, s.call.args...))
		if err != nil {
			return nil, err
		}
		return c.config, nil
	})
	d, err := daemon.Open(*s.call.config, env)
	if err != nil {
		s.event(err)
		return s.fail(err)
	}
	signals := make(chan os.Signal, 4)
	served := make(chan error, 1)
	go func() { served <- d.Serve(s.ctx, signals) }()
	status := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptPreShutdown | svc.AcceptParamChange}
	reports <- status
	ticker := time.NewTicker(stopPoll)
	defer ticker.Stop()
	for {
		select {
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				reports <- status
			case svc.ParamChange:
				offer(signals, syscall.SIGHUP)
			case svc.Stop, svc.PreShutdown:
				status = svc.Status{State: svc.StopPending, WaitHint: wait, CheckPoint: 1}
				reports <- status
				offer(signals, syscall.SIGTERM)
			}
		case <-ticker.C:
			if status.State == svc.StopPending {
				status.CheckPoint++
				reports <- status
			}
		case err := <-served:
			reports <- svc.Status{State: svc.StopPending, WaitHint: wait}
			if err != nil {
				s.event(err)
			}
			return s.exitCode(err)
		}
	}
}

// offer sends a signal, unless several are waiting.
func offer(signals chan<- os.Signal, signal os.Signal) {
	select {
	case signals <- signal:
	default:
	}
}

// event writes an error to the event log.
func (s *service) event(err error) {
	if s.events != nil {
		file, _ := s.call.logFile()
		_ = s.events.Error(eventID, fmt.Sprintf("gatehouse: %v\r\nThe log is %s", err, file))
	}
}
