# What Mercurial's examples have for WSGI servers.
from mercurial import demandimport

demandimport.enable()
from mercurial.hgweb import hgweb

application = hgweb(b"/srv/hg/hgweb.config")
