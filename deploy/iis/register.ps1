<#
.SYNOPSIS
Has IIS run gatehouse, or another program, for a site or an application.

.DESCRIPTION
Installs what Windows has of the module, registers the program where IIS must know of it, and
writes web.config, from the snippet that is beside this script, or that gatehouse prints. It
does not install HttpPlatformHandler and the ASP.NET Core Module, which are downloads of their
own.
Run it as an administrator. It may be run again.

.EXAMPLE
.\register.ps1 -Module AspNetCore -Folder C:\inetpub\wwwroot

.EXAMPLE
.\register.ps1 -Module FastCgi -Folder C:\inetpub\shop -Program C:\shop\v2\shop.exe -Arguments ''
#>
param(
    [Parameter(Mandatory)] [ValidateSet('AspNetCore', 'HttpPlatform', 'FastCgi', 'Cgi')] [string] $Module,
    # Where web.config goes: the physical path of the site or application.
    [Parameter(Mandatory)] [string] $Folder,
    [string] $Program = 'C:\Program Files\gatehouse\gatehouse.exe',
    [string] $Gatehouse = 'C:\Program Files\gatehouse\gatehouse.exe',
    [string] $Arguments = 'serve --config C:\ProgramData\gatehouse\gatehouse.toml',
    # The application pool of the site.
    [string] $Pool = 'DefaultAppPool'
)
$ErrorActionPreference = 'Stop'
Import-Module WebAdministration
$root = 'MACHINE/WEBROOT/APPHOST'

if (-not (Test-Path -LiteralPath $Program -PathType Leaf)) { throw "There is no program $Program" }
if (-not (Test-Path -LiteralPath $Folder -PathType Container)) { throw "There is no folder $Folder" }

# The FastCGI module comes with the CGI module.
if ($Module -in 'FastCgi', 'Cgi') {
    if (Get-Command Install-WindowsFeature -ErrorAction SilentlyContinue) {
        Install-WindowsFeature Web-CGI | Out-Null
    } else {
        Enable-WindowsOptionalFeature -Online -FeatureName IIS-CGI -All -NoRestart | Out-Null
    }
} else {
    $name = @{ AspNetCore = 'AspNetCoreModuleV2'; HttpPlatform = 'httpPlatformHandler' }[$Module]
    if (-not (Get-WebGlobalModule -Name $name)) { throw "IIS has no module $name. Install it first: see docs/iis.md" }
}

# web.config may have handlers only if this section is not locked: otherwise 500.19.
Set-WebConfiguration '//system.webServer/handlers' -PSPath $root -Metadata overrideMode -Value Allow

if ($Module -eq 'FastCgi') {
    $filter = "system.webServer/fastCgi/application[@fullPath='$Program' and @arguments='$Arguments']"
    Clear-WebConfiguration $filter -PSPath $root -ErrorAction SilentlyContinue
    # The reasons are in fastcgi.applicationHost.config.
    Add-WebConfiguration 'system.webServer/fastCgi' -PSPath $root -Value @{
        fullPath = $Program; arguments = $Arguments
        maxInstances = 16; instanceMaxRequests = 1000000
        activityTimeout = 180; requestTimeout = 180
        signalBeforeTerminateSeconds = 40; stderrMode = 'IgnoreAndReturn200'; flushNamedPipe = $true
    }
}
if ($Module -eq 'Cgi') {
    Clear-WebConfiguration "system.webServer/security/isapiCgiRestriction/add[@path='$Program']" -PSPath $root -ErrorAction SilentlyContinue
    Add-WebConfiguration 'system.webServer/security/isapiCgiRestriction' -PSPath $root -Value @{
        path = $Program; allowed = $true; description = 'Gatehouse'
    }
    Set-WebConfiguration '//system.webServer/cgi' -PSPath $root -Metadata overrideMode -Value Allow
}

# By default the pool ends after 20 minutes without a request, and gatehouse with it.
Set-ItemProperty "IIS:\AppPools\$Pool" processModel.idleTimeout ([TimeSpan]::Zero)
# The pool's identity writes the log, and reads the program.
$logs = 'C:\ProgramData\gatehouse\logs'
New-Item -ItemType Directory -Force $logs | Out-Null
icacls $logs /grant "IIS AppPool\${Pool}:(OI)(CI)M" | Out-Null
icacls (Split-Path $Program) /grant "IIS AppPool\${Pool}:(OI)(CI)RX" | Out-Null

$file = @{ AspNetCore = 'aspnetcore.config'; HttpPlatform = 'httpplatform.config'; FastCgi = 'fastcgi.config'; Cgi = 'cgi.config' }[$Module]
$escape = { param($s) [Security.SecurityElement]::Escape($s) }
$beside = Join-Path $PSScriptRoot $file
if (Test-Path -LiteralPath $beside) { $text = Get-Content -Raw -LiteralPath $beside }
else { $text = (& $Gatehouse snippet iis --file $file) -join "`r`n" }
foreach ($known in 'C:\Program Files\gatehouse\gatehouse.exe', $Gatehouse) {
    $text = $text.Replace((& $escape $known), (& $escape $Program))
}
if ($Arguments) {
    $text = $text.Replace('serve --config C:\ProgramData\gatehouse\gatehouse.toml', (& $escape $Arguments))
} else {
    $text = $text.Replace('|serve --config C:\ProgramData\gatehouse\gatehouse.toml', '').Replace('serve --config C:\ProgramData\gatehouse\gatehouse.toml', '')
}
$target = Join-Path $Folder 'web.config'
if (Test-Path -LiteralPath $target) { Copy-Item -LiteralPath $target "$target.bak" -Force }
Set-Content -LiteralPath $target -Value $text -Encoding UTF8
Restart-WebAppPool $Pool
Write-Output "$target written; look at the site, and at $logs"
