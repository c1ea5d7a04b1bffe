package client

import (
	"errors"
	"fmt"

	"gatehouse/fastcgi/record"
)

var (
	// ErrClosed is the error of a Conn after Close, and of a Response after Close.
	ErrClosed = errors.New("fastcgi: use of what was closed")
	// ErrNotKept is the error of a Conn after a request without KeepConn.
	ErrNotKept = errors.New("fastcgi: the application does not keep the connection")
	// ErrAbandoned is the error of a Conn whose last response was given up before its end.
	ErrAbandoned = errors.New("fastcgi: a response was given up before its end")
	// ErrNotSent is wrapped by the error of Begin for a request of which nothing was sent.
	ErrNotSent = errors.New("fastcgi: nothing of the request could be sent")
	// ErrID is wrapped by the error of Do for an id that is in use.
	ErrID = errors.New("fastcgi: request id is in use")
	// ErrParamsBytes is wrapped by the error of Do for variables beyond Conn.ParamsBytes.
	ErrParamsBytes = errors.New("fastcgi: too many bytes of variables")
)

// An EndError says that a request has ended without a response.
type EndError struct {
	// End is what END_REQUEST said. If ProtocolStatus is not REQUEST_COMPLETE, the
	// application has refused the request.
	End record.End

	// Err is a *cgihead.Error if the output ended before its head did, else nil.
	Err error
}

func (e *EndError) Error() string {
	if e.End.ProtocolStatus != record.RequestComplete {
		return fmt.Sprintf("fastcgi: the application refused the request: %v", e.End.ProtocolStatus)
	}
	return fmt.Sprintf("fastcgi: the request ended with status %d and no response: %v", e.End.AppStatus, e.Err)
}

func (e *EndError) Unwrap() error { return e.Err }

// A TruncatedError says that the connection ended before the response did.
type TruncatedError struct {
	// Received is how many bytes of STDOUT had come. If it is 0 on a connection that was
	// used before, the application may have closed it before it saw the request.
	Received int64

	// Err is how the connection ended: io.EOF where it was closed, io.ErrUnexpectedEOF
	// inside of a record, a *ProtocolError, an error that wraps record.ErrVersion, or one of
	// the socket.
	Err error
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("fastcgi: the connection ended after %d bytes of the response: %v", e.Received, e.Err)
}

func (e *TruncatedError) Unwrap() error { return e.Err }

// A ProtocolError is a record that an application must not send. Nothing is read after it.
type ProtocolError struct {
	Type   record.Type
	ID     uint16
	Reason string
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("fastcgi: %v record for id %d: %s", e.Type, e.ID, e.Reason)
}
