package script

import "os"

// Windows tells no more than its errors do.

func mayExecute(path string) error {
	_, err := os.Stat(path)
	return err
}

func inspectAccess(string) *Finding { return nil }

func inspectDir(string) *Finding { return nil }

func whyUnsearchable(_ string, err error) (detail, remedy string) { return err.Error(), "" }

func thisUser() string { return "this user" }
