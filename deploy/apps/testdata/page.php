<?php
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
if (isset($_GET['go'])) {
	header('Location: /site/page.php?arrived=1');
	exit;
}
if (isset($_GET['missing'])) {
	http_response_code(404);
}
header('X-Powered-Gate: yes');
?>
<form method="post" enctype="multipart/form-data"><input name="text"><input type="file" name="file"></form>
<p>Visit <?= $_SESSION['visits'] ?> of <?= $_SERVER['PHP_SELF'] ?> by <?= php_sapi_name() ?>, <?= $_SERVER['REQUEST_METHOD'] ?>.
<p>Script: <?= $_SERVER['SCRIPT_FILENAME'] ?>; query: <?= htmlspecialchars($_SERVER['QUERY_STRING']) ?>.
<?php if (isset($_POST['text'])): ?>
<p>You wrote: <?= htmlspecialchars($_POST['text']) ?>.
<?php endif; if (isset($_FILES['file'])): ?>
<p>Got <?= htmlspecialchars($_FILES['file']['name']) ?>: <?= md5_file($_FILES['file']['tmp_name']) ?>, <?= $_FILES['file']['size'] ?> bytes.
<?php endif; ?>
