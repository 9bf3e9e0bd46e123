"""Files: radiance, frames, prepared scenes, tables. No arithmetic on images."""
