package daemon

// On Windows, permissions are not checked in advance.

func mayWrite(string) error  { return nil }
func mayRun(string) error    { return nil }
func maySearch(string) error { return nil }
func mayCreate(string) error { return nil }

// thisUser names the user of this process in a message.
func thisUser() string { return "this user" }
